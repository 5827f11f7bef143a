"""The Slicer side of the extension: a folder for each tab, and Scene, Worker and Widgets for what the tabs share."""
