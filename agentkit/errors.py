"""Everything agentkit raises on purpose, grouped by who must act.

::

    AgentKitError                  base; str(error) is the message, error.hint says what to do
    ├── ConfigurationError         the person who writes the bot
    │   ├── BotFileError           a file of a bot folder: names file, line and field
    │   ├── PluginError            a plugin that cannot be loaded or clashes with another
    │   ├── PromptError            a prompt template that is missing or cannot be rendered
    │   └── ToolDefinitionError    a function that cannot become a tool
    ├── ConstraintError            the person who writes a schema, regex or grammar
    │   ├── ConstraintUnmet        the token limit, or a model server, left the constraint unsatisfied
    │   └── ConstraintUnsupported  a feature or tokenizer that cannot be enforced
    ├── ModelError                 the person who runs the machine
    │   ├── ModelFetchError        weights could not be fetched (network, disk, hash)
    │   ├── ModelNotFound          a reference that names no model
    │   ├── ModelRefused           files that are not loaded: pickles, remote code, damaged
    │   └── ModelServerError       a model server that is not there, refuses, fails or sends nonsense
    ├── RequestError               the caller of one turn
    │   ├── ApprovalRefused        an approval that cannot be given: answered before, or for other arguments
    │   ├── Busy                   the conversation is being answered elsewhere
    │   │   └── AwaitsApproval     its last turn waits for a person to decide about a call
    │   ├── ContextOverflow        what must be in the prompt does not fit the context window
    │   └── InputRejected          a message that cannot be accepted
    ├── ScenarioFailed             a scripted conversation did not go as it says
    │   └── RecordingMissed        a replay asked a model for what was not recorded
    ├── StoreError                 the person who looks after the database
    │   ├── ErasureIncomplete      what was deleted can still be read in the file
    │   ├── LeaseLost              another worker answers the conversation; nothing was written
    │   ├── RecordNotFound         no such conversation, turn or memory for this user
    │   ├── StoreCorrupt           the file is not a sound agentkit database
    │   ├── StoreLocked            another process holds the database
    │   ├── StoreReadOnly          the file or its folder cannot be written
    │   ├── StoreTooNew            written by a newer agentkit
    │   └── TurnConflict           a turn is not in the state that a write needs; nothing was written
    └── ToolServerError            a server of tools that does not start, answer or keep to its protocol

    ToolFailed, ToolRetry          control flow from a tool to the model; not errors of agentkit

No class here has side effects, and none needs anything beyond the standard library.
"""

from __future__ import annotations

from pathlib import Path


class AgentKitError(Exception):
    """Base of all errors that agentkit raises on purpose.

    Args:
        message: What happened and where, in one or two sentences.
        hint: What the reader can do about it; empty only where nothing can be done.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.hint}" if self.hint else self.message


class ConfigurationError(AgentKitError):
    """Something that the author of a bot, tool or prompt has to change."""


class BotFileError(ConfigurationError):
    """A file of a bot folder is missing or wrong.

    Args:
        message: What is wrong.
        path: The file.
        line: Line number counted from one, if known.
        field: Dotted path of the field inside the file, if known.
        hint: How to mend it.
    """

    def __init__(
        self,
        message: str,
        *,
        path: Path | str,
        line: int | None = None,
        field: str | None = None,
        hint: str = "",
    ) -> None:
        place = f"{path}:{line}" if line is not None else str(path)
        where = f"{place}: field `{field}`" if field else place
        super().__init__(f"{where}: {message}", hint=hint)
        self.path = Path(path)
        self.line = line
        self.field = field


class PluginError(ConfigurationError):
    """A plugin cannot be loaded, or two plugins claim one name."""


class PromptError(ConfigurationError):
    """A prompt template is missing, is not valid Jinja or lacks a variable."""


class ToolDefinitionError(ConfigurationError):
    """A function cannot become a tool; the message names the parameter."""


class ConstraintError(AgentKitError):
    """A constraint on what the generator may write could not be used."""


class ConstraintUnmet(ConstraintError):
    """What was written does not satisfy the constraint; nothing half-written is returned.

    The token limit came first, or a model server did not hold its model to what it was asked for.

    Args:
        message: What was not satisfied, and by whom.
        hint: What the reader can do about it.
        cut: The token limit came first; otherwise something else was written than what was asked for.
    """

    def __init__(self, message: str, *, hint: str = "", cut: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.cut = cut


class ConstraintUnsupported(ConstraintError):
    """The engine or the tokenizer cannot enforce this constraint, so it is refused rather than ignored.

    Args:
        message: What cannot be enforced, and where.
        hint: What the reader can do about it.
        feature: The name of what cannot be enforced, to count by: a keyword of JSON Schema, for example.
    """

    def __init__(self, message: str, *, hint: str = "", feature: str = "") -> None:
        super().__init__(message, hint=hint)
        self.feature = feature


class ModelError(AgentKitError):
    """A model cannot be found, fetched or loaded."""


class ModelFetchError(ModelError):
    """Weights could not be fetched; the message lists what was tried."""


class ModelNotFound(ModelError):
    """A model reference names nothing: no catalogue entry, folder or Hugging Face id, no model of its server."""


class ModelRefused(ModelError):
    """A model folder holds something that agentkit does not load (pickle, remote code) or is damaged."""


class ModelServerError(ModelError):
    """A model server cannot be reached, refuses, fails, hangs or sends what is no reply; the message names it."""


class RequestError(AgentKitError):
    """The caller of one turn has to change the request or try again later."""


class Busy(RequestError):
    """The conversation is already being answered."""


class AwaitsApproval(Busy):
    """The last turn of the conversation waits for a person to decide about a call.

    Args:
        message: Which call of which tool.
        hint: How it is decided.
        approvals: The ids of what is waited for.
    """

    def __init__(self, message: str, *, hint: str = "", approvals: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.approvals = approvals


class ApprovalRefused(RequestError):
    """An approval that cannot be given: it was answered before, its turn is over, or the arguments are others."""


class ContextOverflow(RequestError):
    """The system prompt and the last user message alone do not fit the context window."""


class InputRejected(RequestError):
    """A user message that cannot be accepted (empty, too long); nothing was stored."""


class ScenarioFailed(AgentKitError):
    """A scripted conversation did not go as its scenario expects."""


class RecordingMissed(ScenarioFailed):
    """A replay asked a model for what was not recorded; the message shows how it differs from the nearest request."""


class StoreError(AgentKitError):
    """The database cannot be used as asked."""


class ErasureIncomplete(StoreError):
    """Rows were deleted, but their old pages are still in the file or its write-ahead log."""


class LeaseLost(StoreError):
    """Another worker answers the conversation now, so what this one wanted to write was refused."""


class ToolServerError(AgentKitError):
    """A server of tools does not start, does not answer or sends what it must not; the message names it."""


class RecordNotFound(StoreError):
    """No such conversation, turn or memory for this user."""


class StoreCorrupt(StoreError):
    """The file is not a sound agentkit database."""


class StoreLocked(StoreError):
    """Another process holds the database for longer than the busy timeout."""


class StoreReadOnly(StoreError):
    """The database file or its folder cannot be written."""


class StoreTooNew(StoreError):
    """The database was written by a newer agentkit; it is left untouched."""


class TurnConflict(StoreError):
    """A turn is not in the state that a write needs: already recorded, already finished, or never started.

    Nothing was written. It guards the promise that a finished step never runs again.
    """


class ToolRetry(Exception):
    """Raised by a tool: the model should call again with other arguments.

    The message is shown to the model, so write it as an instruction:
    ``ToolRetry("order_id has four digits, for example 1042")``.
    """


class ToolFailed(Exception):
    """Raised by a tool: the call cannot succeed, do not try again.

    The message is shown to the model and may be quoted to the user:
    ``ToolFailed("order 1042 has been shipped and can no longer be cancelled")``.
    """
