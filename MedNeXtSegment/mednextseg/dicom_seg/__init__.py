"""DICOM segmentations (SEG): written for the series they were made on, and read back."""
