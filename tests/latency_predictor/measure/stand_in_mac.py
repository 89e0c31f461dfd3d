"""Run `python -m latency_predictor` as on a Mac, with a stand-in for coremltools' native library.

`stand_in_tools.py` replaces Xcode's tools. The Python code of coremltools is the real one.
"""

import platform
import shutil
import sys
import tempfile
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any


class ModelProxy:
    """Stand-in for compilation, which copies the package, so that the phone receives it."""

    @staticmethod
    def compileModel(path: str) -> str:  # noqa: N802
        compiled = Path(tempfile.mkdtemp()) / "compiled.mlmodelc"
        shutil.copytree(path, compiled)
        return str(compiled)

    @staticmethod
    def get_model_structure(path: str) -> Any:
        from coremltools.models import compute_plan as plan
        from coremltools.proto import Model_pb2

        spec = Model_pb2.Model()
        spec.ParseFromString((Path(path) / "Data/com.apple.CoreML/model.mlmodel").read_bytes())
        main = spec.mlProgram.functions["main"]
        operations = [
            plan.MLModelStructureProgramOperation(
                inputs={},
                operator_name=f"ios17.{op.type}",
                outputs=[plan.MLModelStructureProgramNamedValueType(op.outputs[0].name, None)],
                blocks=[],
                __proxy__=None,
            )
            for op in main.block_specializations[main.opset].operations
        ]
        block = plan.MLModelStructureProgramBlock([], operations, [])
        functions = {"main": plan.MLModelStructureProgramFunction([], block)}
        return plan.MLModelStructure(None, plan.MLModelStructureProgram(functions), None)


def become_a_mac(work: Path) -> None:
    """Before coremltools is imported; `work` is where its macOS wheel holds an Xcode project."""
    from latency_predictor.measure.coreml import quiet_coremltools

    assert "coremltools" not in sys.modules
    native = ModuleType("coremltools.libcoremlpython")
    native.__spec__ = ModuleSpec("coremltools.libcoremlpython", None)
    native._MLModelProxy = ModelProxy  # type: ignore[attr-defined]
    for name in (
        "ComputePlan",
        "CPUComputeDevice",
        "GPUComputeDevice",
        "NeuralEngineComputeDevice",
    ):
        setattr(native, f"_ML{name}Proxy", type(f"_ML{name}Proxy", (), {}))
    sys.modules["coremltools.libcoremlpython"] = native
    sys.platform = "darwin"
    platform.mac_ver = lambda: ("15.1", ("", "", ""), "arm64")  # type: ignore[assignment,misc]
    quiet_coremltools()
    from coremltools.models.ml_program.experimental import remote_device

    (work / "ModelRunner.xcworkspace").mkdir()
    remote_device._DeviceCtlRemoteService.__init__.__defaults__ = (0.05, 3)  # give up sooner
    remote_device._ModelRunnerAppBuilder._get_project_path = lambda: work


if __name__ == "__main__":
    import torch  # noqa: F401  it looks at the platform, which is about to change

    from latency_predictor.__main__ import main

    with tempfile.TemporaryDirectory() as work:
        become_a_mac(Path(work))
        sys.exit(main(sys.argv[1:]))
