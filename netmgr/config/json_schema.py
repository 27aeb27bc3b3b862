"""The configuration's JSON schema (draft 7), made from the reader's own tables, for editors and other programs.

pkg-files/schema/netmgr.schema.json is this text, written by `make schema`.  It says which keys there are and what each may look like;
what takes more than a look (whether an address is one, whether a key stands there twice) only the reader knows.
"""

from netmgr.config import fleet_reader, kinds, reader

DRAFT = "http://json-schema.org/draft-07/schema#"


def text() -> str:
    """The whole schema."""
    import json
    head = {"$schema": DRAFT, "title": "netmgr.yaml", "description": "The configuration of netmgr, see netmgr.yaml(5)"}
    return json.dumps({**head, **kinds.of_table({**reader.TOP, "fleet": fleet_reader.KIND})}, indent=1) + "\n"
