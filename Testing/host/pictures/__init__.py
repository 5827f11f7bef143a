"""Pictures of the panel for README and docs: `make pictures` draws all, `python -m pictures.panel` with Testing/host on the path one."""
