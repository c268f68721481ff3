"""From text to functions in memory, once in a process.

Compiling takes most of a second, once on a machine (`object_files`). LLVM works outside Python's lock, so that it costs
nothing beside an import.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import importlib.util
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from agentkit.models.machine_code.attend import attend_text
from agentkit.models.machine_code.attend_floats import attend_floats_text
from agentkit.models.machine_code.layout import Before, Bits, Instructions
from agentkit.models.machine_code.multiply import multiply_text
from agentkit.models.machine_code.multiply_floats import multiply_floats_text
from agentkit.models.machine_code.object_files import object_code
from agentkit.models.machine_code.quantise import quantise_text
from agentkit.models.machine_code.writing import DECLARATIONS, PARALLEL
from agentkit.models.paths import cache_folder


class MachineCode:
    """Compiled functions, by their addresses. A job is int64 fields, of which the first is such an address.

    Args:
        instructions: What it multiplies bytes with.
    """

    def __init__(self, instructions: Instructions) -> None:
        llvm = importlib.import_module("llvmlite.binding")
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        threads = _openmp()
        self.parallel = threads is not None
        """Whether it may run on several threads."""
        llvm.add_symbol("run_on_threads", threads or 1)
        processor, features = llvm.get_host_cpu_name(), _features(instructions)
        machine = llvm.Target.from_default_triple().create_target_machine(
            cpu=processor, features=features, opt=3
        )
        texts = [quantise_text(), multiply_text(instructions), attend_text(instructions)]
        texts += [multiply_floats_text(instructions), attend_floats_text()]
        text = "\n".join([DECLARATIONS, PARALLEL, *texts])
        version = ".".join(map(str, llvm.llvm_version_info))
        depends_on = f"{version} {llvm.get_default_triple()} {processor} {features}\n{text}"
        code = object_code(
            cache_folder() / "machine-code", depends_on, lambda: _compiled(llvm, machine, text)
        )
        self._linked = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)  # keeps the code alive
        self._linked.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._linked.finalize_object()
        address = self._linked.get_function_address
        self.run: Callable[[ctypes.Array[ctypes.c_int64], int], None] = ctypes.CFUNCTYPE(
            None, ctypes.c_void_p, ctypes.c_int
        )(address("parallel"))
        """Do a job, on so many threads."""
        self.quantise: dict[Before, int] = {
            "plain": address("quantise_plain"),
            "normed": address("quantise_normed"),
            "gated": address("quantise_gated"),
        }
        self.multiply: dict[Bits, int] = {4: address("multiply_4"), 8: address("multiply_8")}
        self.multiply_floats: int = address("multiply_floats")
        self.attend_floats: int = address("attend_floats")
        self.turn: int = address("turn")
        self.attend: int = address("attend")


def _compiled(llvm: Any, machine: Any, text: str) -> bytes:
    """Object code of a text in LLVM's language."""
    module = llvm.parse_assembly(text)
    module.verify()
    passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    passes.getModulePassManager().run(module, passes)
    code: bytes = machine.emit_object(module)
    return code


def machine_code(instructions: Instructions) -> MachineCode:
    """The code of this process; waits where it is being made."""
    with _LOCK:
        return _made(instructions)


def compile_early() -> None:
    """Begin to make the code in a thread, which ends when it is made."""
    if (chosen := instructions()) is not None:
        threading.Thread(target=machine_code, args=(chosen,), daemon=True).start()


_LOCK: Final = threading.Lock()
_made = functools.cache(MachineCode)


@functools.cache
def instructions() -> Instructions | None:
    """What this processor multiplies bytes with; None if nothing that there is code for, or without llvmlite."""
    if importlib.util.find_spec("llvmlite") is None:
        return None
    has: dict[str, bool] = importlib.import_module("llvmlite.binding").get_host_cpu_features()
    if not all(has.get(name) for name in ("avx2", "fma", "f16c")):
        return None
    if all(has.get(name) for name in ("avx512vnni", "avx512bw", "avx512vl")):
        return "avx512bf16" if has.get("avx512bf16") else "avx512vnni"
    return "avxvnni" if has.get("avxvnni") else "avx2"


def _features(chosen: Instructions) -> str:
    """The processor's features in LLVM's words; wide vectors are used where the code is written for them."""
    features: str = importlib.import_module("llvmlite.binding").get_host_cpu_features().flatten()
    if chosen.startswith("avx512"):
        return features + ",-prefer-256-bit"
    without = ["avx512f"] + (["avxvnni"] if chosen == "avx2" else [])
    return features + "".join(f",-{name}" for name in without)


def _openmp() -> int | None:
    """The address of `GOMP_parallel(function, data, threads, flags)` in the GNU OpenMP that torch computes with."""
    torch = importlib.util.find_spec("torch")
    for folder in (torch and torch.submodule_search_locations) or ():
        for path in Path(folder, "lib").glob("libgomp*.so*"):
            library: Any = ctypes.CDLL(str(path))
            return ctypes.cast(library.GOMP_parallel, ctypes.c_void_p).value
    return None
