"""`department init`: make a department's home."""

from __future__ import annotations

import json

import click

from sync.command_frame import Common, verb
from sync.department.ground.settings import Settings
from sync.department.server.founding import found
from sync.errors import DONE, InvalidInputError
from sync.hot_lists.document import MAX_WORDS, is_words

KEEPERS = ("the administrator", "an office outside the department", "a third office")


USUAL = Settings()


@verb("init", example="department init --home /srv/alpr --host alpr.example.gov")
@click.option("--name", default=USUAL.name, show_default=True, help="The department's name.")
@click.option("--host", default=USUAL.host, show_default=True, help="Name or address that units reach.")
@click.option("--listen", default=USUAL.listen, show_default=True, help="Address to listen on.")
@click.option("--unit-port", type=int, default=USUAL.unit_port, show_default=True, help="Port for units.")
@click.option("--desk-port", type=int, default=USUAL.desk_port, show_default=True, help="Port of the desk.")
@click.option("--database", default="", help="postgresql+psycopg://user@host/name. Default: SQLite.")
@click.option("--blobs", default="", help="Folder of sealed images, or s3://BUCKET/PREFIX.")
@click.option("--blobs-endpoint", default="", help="With s3: the store's URL. Default: AWS.")
@click.option("--keys-folder", default="", help="Folder of the key service's keys. Default: HOME/keys.")
@click.option("--fips", is_flag=True, help="Write a policy file with approved algorithms only.")
@click.option("--demo", is_flag=True, help="Mark the root file permanently as a demo's.")
def init(
    common: Common,
    *,
    name: str,
    host: str,
    listen: str,
    unit_port: int,
    desk_port: int,
    database: str,
    blobs: str,
    blobs_endpoint: str,
    keys_folder: str,
    fips: bool,
    demo: bool,
) -> int:
    """Make a department's home: its keys, its certificate authority, its store and its first root file.

    The store is SQLite unless --database names PostgreSQL. Three keys to keep offline sign the root file.
    """
    if not name.strip() or not is_words(name):
        what = f"must be 1 to {MAX_WORDS} printable characters"
        raise InvalidInputError(what, where="--name", cure="shorten it, and type it by hand")
    settings = Settings(
        name=name,
        host=host,
        listen=listen,
        unit_port=unit_port,
        desk_port=desk_port,
        database=database,
        blobs_folder=blobs,
        blobs_endpoint=blobs_endpoint,
        keys_folder=keys_folder,
    )
    made = found(common.home, settings, demo=demo, fips=fips)
    if common.json:
        facts = {
            "home": str(made.home.path),
            "root": made.root_digest.hex(),
            "root_keys": [str(path) for path in made.root_keys],
        }
        print(json.dumps(facts))
        return DONE
    print(f"the department's home is {made.home.path}; its settings: {made.home.path / 'department.toml'}")
    print(f"root file, SHA-256 {made.root_digest.hex()}")
    print("any two of these three keys set policy, witness and every other key. Move each to its office:")
    for path, office in zip(made.root_keys, KEEPERS, strict=True):
        print(f"  {path}  ->  {office}, on a separate medium; then delete it here")
    print(
        "next: department user first USER, then a witness outside the department (department witness --help);"
    )
    print("      no answer leaves the desk until two offices sign a root file that names the witness")
    print("      department serve runs the server")
    return DONE
