"""Reads the YAML files of a bot so that every mistake is reported with its file, line and field.

One path from a file to a checked value::

    bot = load_yaml(folder / "agent.yaml", BotFile)       # BotFile: a closed pydantic model

`reader` turns the file into plain values with line numbers (YAML 1.2 core schema: `no` and `12:30` are
texts), `document` checks them with pydantic in strict JSON mode (`"5"` is no number), `explain` words what is
wrong.
"""

from agentkit.yaml_files.document import MAX_BYTES, YamlDocument, load_yaml, read_yaml
from agentkit.yaml_files.reader import Location

__all__ = ["MAX_BYTES", "Location", "YamlDocument", "load_yaml", "read_yaml"]
