"""Pretrained weights: shipped with gmbench, carried by packages of the registry, or from the hub.

Carriers are found by their specification and never imported, so nothing of theirs runs; every file
is checked against its sha256 before it is read. One carrier holds a ViT of the DINOv2 architecture
as an ONNX graph: :func:`read_onnx` and :func:`dinov2_state` bring it into timm's form.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from huggingface_hub import constants, get_session
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from gmbench.core.errors import InputError

SHIPPED = Path(__file__).parent / "pretrained"


def shipped(name: str) -> Path:
    """A file of ``gmbench/nn/pretrained``.

    Raises:
        InputError: it is not there.
    """
    file = SHIPPED / name
    if not file.is_file():
        raise InputError(
            f"{file} is missing: reinstall gmbench, or build it again with "
            "`python -m experiments.pretrain_tiny`"
        )
    return file


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file; half precision is widened to float32.

    Raises:
        InputError: the file is truncated or not safetensors.
    """
    try:
        tensors = load_file(file)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{file} cannot be read as safetensors: {error}") from None
    return {
        name: tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
        for name, tensor in tensors.items()
    }


def load(module: nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """Fill every parameter of ``module``.

    Raises:
        InputError: names or shapes differ; the first difference is named.
    """
    own = module.state_dict()
    wrong = [f"{name} is missing" for name in own if name not in tensors]
    wrong += [f"{name} is not part of the architecture" for name in tensors if name not in own]
    wrong += [
        f"{name} is {list(tensors[name].shape)} instead of {list(value.shape)}"
        for name, value in own.items()
        if name in tensors and tensors[name].shape != value.shape
    ]
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise InputError(f"{source} does not fit {type(module).__name__}: {wrong[0]}{more}")
    module.load_state_dict(tensors)


def from_hub(auto: Any, name: str, files: str, **settings: Any) -> Any:
    """``auto.from_pretrained(name, **settings)`` of transformers; one clear line where it fails.

    Args:
        auto: a class with ``from_pretrained``.
        name: on the hub, or a local folder. Where the hub does not answer, its cache may do.
        files: what such a folder has to hold, in words.
        settings: further arguments of ``from_pretrained``.

    Raises:
        InputError: no such folder, and neither hub nor cache has it; or wrong files.
    """
    local = Path(name).is_dir() or not hub_answers()
    try:
        return auto.from_pretrained(name, local_files_only=local, **settings)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        if Path(name).is_dir():
            raise InputError(
                f"folder {name!r} cannot be used; it needs {files}, as the hub lays them out "
                f"({one_line(error)})"
            ) from error
        hub = "the hub is not reached and its cache has none" if local else "the hub gave none"
        raise InputError(
            f"{name!r} is no local folder, and {hub}; name a folder that holds {files}, as the "
            f"hub lays them out ({one_line(error)})"
        ) from error


def hub_answers(seconds: float = 5.0) -> bool:
    """Whether the hub can be asked: one request, where its client would retry for a minute."""
    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=seconds)
    except Exception:  # the hub's client changed its HTTP library, and so the errors, twice
        return False
    return True


def one_line(error: Exception) -> str:
    """The kind of an error and the first line of what it says."""
    return f"{type(error).__name__}: {str(error).strip()}".splitlines()[0]


def fingerprint(module: nn.Module) -> str:
    """Sha256 over every name and value of the module's state: the same weights, the same line."""
    total = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        total.update(name.encode())
        total.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return total.hexdigest()


FLOAT = 1
"""TensorProto.DataType of float32."""

ONNX_FIELDS: dict[str, dict[str, tuple[int, str]]] = {
    "Model": {"graph": (7, "Graph")},
    "Graph": {"node": (1, "Node*"), "initializer": (5, "Tensor*")},
    "Node": {"input": (1, "string*"), "name": (3, "string")},
    "Tensor": {
        "dims": (1, "int64*"),
        "data_type": (2, "int32"),
        "name": (8, "string"),
        "raw_data": (9, "bytes"),
    },
}
"""Number and type (* = repeated) of the fields of onnx.proto that are read. No ONNX package is
needed to train."""

LAYER = "backbone/encoder/layer.{}"
PATCH_POSITIONS = "/backbone/embeddings/Reshape_1"  # node whose first input is [1, g * g, D]
CLASS_POSITION = "/backbone/embeddings/Concat_6"  # node whose first input is [1, 1, D]


@dataclass(frozen=True, slots=True)
class OnnxGraph:
    """What a converter needs of an ONNX graph.

    Attributes:
        tensors: float32 initialisers by name (others are left out).
        inputs: input names of each named node, in order.
    """

    tensors: dict[str, Tensor]
    inputs: dict[str, tuple[str, ...]]


def read_onnx(file: Path) -> OnnxGraph:
    """Initialisers and node inputs of an ONNX file that holds its weights itself.

    Raises:
        InputError: the file is cut off, or keeps float32 values elsewhere than in ``raw_data``.
    """
    model = _onnx_model()
    try:
        model.ParseFromString(file.read_bytes())
    except DecodeError as error:
        raise InputError(f"{file} cannot be read as ONNX: {error}") from None
    tensors: dict[str, Tensor] = {}
    for tensor in model.graph.initializer:
        if tensor.data_type != FLOAT:
            continue
        if not tensor.HasField("raw_data"):
            raise InputError(
                f"{file}: the values of {tensor.name} are not in raw_data; export it with them "
                "inside"
            )
        # bytearray: torch wants memory it may write to.
        values = torch.frombuffer(bytearray(tensor.raw_data), dtype=torch.float32)
        tensors[tensor.name] = values.reshape(list(tensor.dims))
    return OnnxGraph(tensors, {node.name: tuple(node.input) for node in model.graph.node})


def _onnx_model() -> Any:
    """An empty protobuf message of ``ONNX_FIELDS``."""
    types = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="onnx.proto", package="onnx")
    for name, fields in ONNX_FIELDS.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            repeated, kind = kind.endswith("*"), kind.rstrip("*")
            added = message.field.add(name=field, number=number)
            added.label = types.LABEL_REPEATED if repeated else types.LABEL_OPTIONAL
            if kind in ONNX_FIELDS:
                added.type, added.type_name = types.TYPE_MESSAGE, f".onnx.{kind}"
            else:
                added.type = types.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()  # of its own: the onnx package fills the default one
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("onnx.Model"))()


def dinov2_state(graph: OnnxGraph, depth: int, grid: int) -> dict[str, Tensor]:
    """The graph's weights under the names of timm's VisionTransformer.

    Args:
        graph: of a Dinov2Model of transformers, exported with its module names.
        depth: how many blocks to take, from the first.
        grid: patches a side for which the position embeddings are resampled (bicubic without
            anti-aliasing, as the exported graph itself does).

    Raises:
        InputError: the graph lacks a part.
    """
    try:
        positions = graph.tensors[graph.inputs[PATCH_POSITIONS][0]]
        class_position = graph.tensors[graph.inputs[CLASS_POSITION][0]]
        state = {
            "cls_token": graph.tensors["backbone.embeddings.cls_token"],
            "pos_embed": torch.cat([class_position, _resample(positions, grid)], dim=1),
            "norm.weight": graph.tensors["backbone.layernorm.weight"],
            "norm.bias": graph.tensors["backbone.layernorm.bias"],
        }
        for end in ("weight", "bias"):
            name = f"backbone.embeddings.patch_embeddings.projection.{end}"
            state[f"patch_embed.proj.{end}"] = graph.tensors[name]
        for number in range(depth):
            state |= _block(graph, number)
    except KeyError as error:
        raise InputError(f"the ONNX graph is no exported Dinov2Model: it lacks {error}") from None
    return state


def _block(graph: OnnxGraph, number: int) -> dict[str, Tensor]:
    source, target = LAYER.format(number), f"blocks.{number}"

    def linear(part: str) -> tuple[Tensor, Tensor]:
        # Weights were renamed at export: the MatMul that bears the module's name knows them.
        # They lie [in, out].
        matrix = graph.tensors[graph.inputs[f"/{source}/{part}/MatMul"][1]]
        return matrix.T, graph.tensors[f"{source}/{part}/bias".replace("/", ".")]

    def plain(part: str) -> Tensor:
        return graph.tensors[f"{source}/{part}".replace("/", ".")]

    qkv = [linear(f"attention/attention/{part}") for part in ("query", "key", "value")]
    state = {
        f"{target}.attn.qkv.weight": torch.cat([weight for weight, _ in qkv]),
        f"{target}.attn.qkv.bias": torch.cat([bias for _, bias in qkv]),
        f"{target}.ls1.gamma": plain("layer_scale1/lambda1"),
        f"{target}.ls2.gamma": plain("layer_scale2/lambda1"),
    }
    for ours, theirs in (
        ("attn.proj", "attention/output/dense"),
        ("mlp.fc1", "mlp/fc1"),
        ("mlp.fc2", "mlp/fc2"),
    ):
        state[f"{target}.{ours}.weight"], state[f"{target}.{ours}.bias"] = linear(theirs)
    for norm in ("norm1", "norm2"):
        for end in ("weight", "bias"):
            state[f"{target}.{norm}.{end}"] = plain(f"{norm}/{end}")
    return state


def _resample(positions: Tensor, grid: int) -> Tensor:
    """``[1, g * g, D]`` -> ``[1, grid * grid, D]``."""
    side = round(positions.shape[1] ** 0.5)
    if side == grid:
        return positions
    square = positions.unflatten(1, (side, side)).permute(0, 3, 1, 2)  # type: ignore[no-untyped-call]
    square = F.interpolate(square, size=(grid, grid), mode="bicubic", align_corners=False)
    return square.flatten(2).transpose(1, 2)
