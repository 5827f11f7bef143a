from .views.placing import active_place_node, start_placing  # noqa: F401 - the name it had before views/
