"""Stand-in for Slicer's layout manager: the slice views that are open now."""

# ruff: noqa: N801 - the names of the real classes


class qMRMLLayoutManager:
    """Only the members listed here.

    Args:
        views: the open SliceViews.
    """

    def __init__(self, views):
        self._views = views

    def sliceViewNames(self):
        return tuple(view.node.GetLayoutName() for view in self._views)

    def sliceWidget(self, name: str):
        return next((_SliceWidget(view) for view in self._views if view.node.GetLayoutName() == name), None)


class _SliceWidget:
    def __init__(self, view):
        self._view = view

    def sliceView(self):
        return self

    def interactor(self):
        return self._view.interactor

    def mrmlSliceNode(self):
        return self._view.node
