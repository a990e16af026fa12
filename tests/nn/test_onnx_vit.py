import pytest
import torch

from gmbench.core.errors import InputError
from gmbench.nn.vision import FOCUS_BLOCKS, dinov2_small
from gmbench.nn.weights import dinov2_state, read_onnx


def small_model(onnx, **changes):
    import numpy as np

    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    weight = np.arange(6, dtype=np.float32).reshape(2, 3)
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="/part/MatMul")
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 2])
    y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 3])
    tensors = [
        numpy_helper.from_array(weight, "w"),
        numpy_helper.from_array(np.float32(2.5).reshape(()), "scalar"),
        numpy_helper.from_array(np.array([1, 2]), "integers"),
        *changes.get("more", []),
    ]
    return helper.make_model(helper.make_graph([node], "g", [x], [y], tensors))


def test_reads_what_onnx_reads(tmp_path):
    onnx = pytest.importorskip("onnx")
    onnx.save(small_model(onnx), tmp_path / "m.onnx")
    graph = read_onnx(tmp_path / "m.onnx")
    assert graph.inputs == {"/part/MatMul": ("x", "w")}
    assert set(graph.tensors) == {"w", "scalar"}
    assert graph.tensors["w"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert graph.tensors["scalar"].shape == ()
    assert graph.tensors["scalar"] == 2.5


def test_every_initialiser_of_the_carrier(focus):
    onnx = pytest.importorskip("onnx")
    wanted = onnx.load(focus).graph
    graph = read_onnx(focus)
    floats = [t for t in wanted.initializer if t.data_type == onnx.TensorProto.FLOAT]
    assert len(floats) == len(graph.tensors) > 200
    for tensor in floats:
        ours = torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
        assert torch.equal(graph.tensors[tensor.name], ours)
    assert graph.inputs == {node.name: tuple(node.input) for node in wanted.node}


def test_values_elsewhere_and_truncation_are_named(tmp_path):
    onnx = pytest.importorskip("onnx")
    listed = onnx.helper.make_tensor("listed", onnx.TensorProto.FLOAT, [2], [1.0, 2.0])
    onnx.save(small_model(onnx, more=[listed]), tmp_path / "m.onnx")
    with pytest.raises(InputError, match="values of listed are not in raw_data"):
        read_onnx(tmp_path / "m.onnx")
    content = (tmp_path / "m.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"cut\.onnx cannot be read as ONNX"):
        read_onnx(tmp_path / "cut.onnx")


def test_another_network_is_refused(tmp_path):
    onnx = pytest.importorskip("onnx")
    onnx.save(small_model(onnx), tmp_path / "m.onnx")
    with pytest.raises(InputError, match="no exported Dinov2Model: it lacks"):
        dinov2_state(read_onnx(tmp_path / "m.onnx"), depth=1, grid=2)


def test_the_converted_network_answers_as_onnxruntime_does(focus):
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    outputs = {
        "/backbone/embeddings/Add_output_0": "embedded",
        f"/backbone/encoder/layer.{FOCUS_BLOCKS - 1}/Add_1_output_0": "kept",
        "/backbone/layernorm/Add_1_output_0": "last",
    }
    model = onnx.load(focus)
    for name in outputs:
        model.graph.output.add().name = name
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    torch.manual_seed(0)
    pixels = torch.randn(2, 3, 224, 224)
    wanted = session.run(list(outputs), {"input_image": pixels.numpy()})

    vit = dinov2_small(depth=12).eval()
    vit.load_state_dict(dinov2_state(read_onnx(focus), depth=12, grid=16))
    with torch.no_grad():
        last, (kept,) = vit.forward_intermediates(
            pixels, indices=[FOCUS_BLOCKS - 1], output_fmt="NLC", return_prefix_tokens=True
        )
        kept = torch.cat([kept[1], kept[0]], dim=1)
        vit.blocks, vit.norm = torch.nn.Sequential(), torch.nn.Identity()
        embedded = vit.forward_features(pixels)
    for ours, theirs in zip((embedded, kept, last), wanted, strict=True):
        difference = (ours - torch.from_numpy(theirs)).abs().max()
        assert difference < 1e-4
