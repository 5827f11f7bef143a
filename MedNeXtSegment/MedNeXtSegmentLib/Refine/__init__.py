"""The Refine tab and the Segment Editor effect: from a click on a slice to an edit of the segment."""
