"""Pictures of the panel for README and docs: run one as `python -m pictures.panel` with Testing/host on the path."""
