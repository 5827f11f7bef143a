"""`mednextseg models import | export | remove | catalogue`: bringing models in, taking them along, and letting them go."""

import argparse
import json
import sys
from pathlib import Path

from tqdm import tqdm

from mednextseg.models.catalogue import catalogue
from mednextseg.models.install.licenses import LicenseNotAcceptedError
from mednextseg.models.model_card import ModelCard, read_card


def add_actions(actions: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Register the actions below `mednextseg models`."""
    importing = actions.add_parser("import", parents=[common], help="add a model to the library")
    importing.add_argument(
        "path",
        help="results folder (or its zip) or weights of nnU-Net, MONAI or STU-Net; or a model package: folder, zip or http(s) address",
    )
    importing.add_argument("--id", help="id of the imported model; by default made from its names")
    importing.add_argument(
        "--card",
        type=Path,
        help="JSON with the fields of a model card, for weights without one; by default NAME.json beside them",
    )
    importing.add_argument("--sha256", help="of the file; required for an address")
    importing.add_argument("--accept-license", action="store_true", help="accept the license of the weights")
    importing.set_defaults(run=_import)
    exporting = actions.add_parser("export", parents=[common], help="write a model as one zip for another machine")
    exporting.add_argument("model", help="model id, id@version or folder")
    exporting.add_argument("-o", "--output", type=Path, default=Path(), help="zip file or folder; by default here")
    exporting.set_defaults(run=_export)
    removing = actions.add_parser("remove", parents=[common], help="delete an installed model")
    removing.add_argument("model", help="model id (its newest version) or id@version")
    removing.set_defaults(run=_remove)
    known = actions.add_parser("catalogue", parents=[common], help="publicly known weights, and where they are published")
    known.set_defaults(run=_catalogue)


def _import(options: argparse.Namespace) -> int:
    from mednextseg.models.install.installation import is_package  # noqa: PLC0415

    notes: tuple[str, ...] = ()
    if is_package(options.path):
        folder = _install(options)
    else:
        from mednextseg.models.importers import import_model  # noqa: PLC0415  (torch: only where it is needed)

        with _bar(options, unit="%", total=100) as bar:
            imported = import_model(
                options.path,
                options.id,
                options.card,
                sha256=options.sha256,
                report=lambda fraction: bar.update(round(100 * fraction) - bar.n),
            )
        folder, notes = imported.folder, imported.notes
    card = read_card(folder)
    if options.json:
        print(json.dumps({"id": card.id, "version": card.version, "folder": str(folder), "notes": notes}))
    else:
        print(f"{card.id} {card.version}: {_summary(card)}; in {folder}")
        print("\n".join(notes), end="\n" if notes else "")
    return 0


def _install(options: argparse.Namespace) -> Path:
    from mednextseg.models.install.installation import install  # noqa: PLC0415

    if options.id is not None or options.card is not None:
        raise ValueError("a model package brings its id and card; --id and --card are for networks of other programs.")
    with _bar(options, unit="B", unit_scale=True) as bar:

        def show(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        try:
            return install(options.path, options.sha256, options.accept_license, progress=show)
        except LicenseNotAcceptedError as refusal:
            print(refusal.text, file=sys.stderr)
            raise ValueError(f"{refusal} The option for it is --accept-license.") from refusal


def _bar(options: argparse.Namespace, **arguments: object) -> tqdm:
    return tqdm(disable=options.json or not sys.stderr.isatty(), **arguments)


def _export(options: argparse.Namespace) -> int:
    from mednextseg.models.install.installation import export_model  # noqa: PLC0415
    from mednextseg.models.library import sha256_of  # noqa: PLC0415

    archive = export_model(options.model, options.output)
    digest = sha256_of(archive)
    print(json.dumps({"file": str(archive), "sha256": digest}) if options.json else f"{archive} (SHA-256 {digest})")
    return 0


def _remove(options: argparse.Namespace) -> int:
    from mednextseg.models.install.installation import remove_model  # noqa: PLC0415

    folder = remove_model(options.model)
    print(json.dumps({"removed": str(folder)}) if options.json else f"{folder} is gone.")
    return 0


def _catalogue(options: argparse.Namespace) -> int:
    entries = catalogue()
    if options.json:
        print(json.dumps([entry.to_dict() for entry in entries]))
        return 0
    for entry in entries:
        state = "verified by SHA-256" if entry.sha256 else "unverified: no published SHA-256 is known"
        print(f"{entry.title}\n    {entry.source_page}\n    license: {entry.weights_license}; {state}")
    return 0


def _summary(card: ModelCard) -> str:
    count = len(card.weights_sha256)
    networks = f", {count} {'networks one after the other' if card.parts else 'folds'}" if count > 1 else ""
    return f"{card.title}, {len(card.channels)} channel(s), {len(card.labels)} label(s){networks}"
