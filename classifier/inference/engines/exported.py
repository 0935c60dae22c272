"""Engines that run the network as an ONNX graph on the CPU: ONNX Runtime and OpenVINO, where installed."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from classifier.inference.engines.engine import Outputs, ServingNetwork


def installed(package: str) -> str | None:
    """The version of a package; None where it is not installed."""
    return importlib.metadata.version(package) if find_spec(package) else None


def export(serving: ServingNetwork, channels: int, path: Path) -> None:
    """Write the network to `path` as ONNX, for batches of any size; completely or not at all."""
    size = serving.spec.size
    example = torch.zeros(2, channels, size, size)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own libraries, which also log every step
        for name in ("torch.onnx", "onnx_ir", "onnxscript"):
            logging.getLogger(name).setLevel(logging.ERROR)
        program = torch.onnx.export(
            serving,
            (example,),
            dynamo=True,
            input_names=["batch"],
            output_names=list(serving.OUTPUTS),
            dynamic_shapes={"batch": {0: torch.export.Dim("images")}},
            verbose=False,
        )
        assert program is not None
        draft = Path(folder, "network.onnx")
        program.save(draft, external_data=False)
        os.replace(draft, path)


class _Exported:
    """An engine of an exported network; `run` has the outputs of the graph, whichever they are."""

    def __call__(self, batch: Tensor) -> Outputs:
        return Outputs(*self.run(batch))

    def run(self, batch: Tensor) -> list[np.ndarray]:
        """Both libraries have exceptions of their own, which derive from Exception alone."""
        try:
            return self._outputs(np.ascontiguousarray(batch.cpu().numpy(), dtype=np.float32))
        except Exception as error:
            raise RuntimeError(str(error)) from error

    def _outputs(self, images: np.ndarray) -> list[np.ndarray]:
        raise NotImplementedError


class OnnxRuntime(_Exported):
    """ONNX Runtime on the CPU, fp32."""

    name, precision = "onnxruntime", "fp32"

    def __init__(self, path: Path, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Waiting threads would take the cores of ingest and web.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])

    def _outputs(self, images: np.ndarray) -> list[np.ndarray]:
        outputs: list[np.ndarray] = self._session.run(None, {"batch": images})
        return outputs


class OpenVino(_Exported):
    """OpenVINO on the CPU, fp32 or bf16."""

    name = "openvino"

    def __init__(self, path: Path, threads: int, precision: str = "fp32") -> None:
        import openvino

        self.precision = precision
        options = {
            "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
        }
        core = openvino.Core()
        self._compiled = core.compile_model(core.read_model(path), "CPU", options)

    def _outputs(self, images: np.ndarray) -> list[np.ndarray]:
        found = self._compiled([images])
        return [np.array(found[index], dtype=np.float32) for index in range(len(found))]


def of_graph(engine: str, precision: str, path: Path, threads: int) -> OnnxRuntime | OpenVino:
    """The engine of that name for an exported network."""
    return OnnxRuntime(path, threads) if engine == "onnxruntime" else OpenVino(path, threads, precision)


def available(name: str, *, reduced: bool) -> list[tuple[str, str]]:
    """Engine and precision of what is installed here, of all (`auto`) or of one name."""
    if not (installed("onnx") and installed("onnxscript")):
        return []
    found = [(engine, "fp32") for engine in ("onnxruntime", "openvino") if installed(engine)]
    if reduced and installed("openvino") and _openvino_has_bf16():
        found.append(("openvino", "bf16"))
    return [one for one in found if name in ("auto", one[0])]


def _openvino_has_bf16() -> bool:
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
