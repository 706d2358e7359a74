"""Are the images the ones that the claims were measured on, and does a set arrive whole or not at all?"""

import gzip
import hashlib
import os
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import small_set
import torch
from small_set import idx

import course_utils.datasets.catalog as catalog
import course_utils.datasets.download as download
import course_utils.datasets.storage as storage
from course_utils.datasets import Dataset, DatasetUnavailableError, Split, load
from course_utils.datasets.readers import read_cifar_batch, read_idx
from course_utils.datasets.records import mean_and_std
from course_utils.datasets.transfer import Archive
from course_utils.seeding import make_generator

REPOSITORY = Path(__file__).resolve().parents[1]
EMBEDDED = REPOSITORY / "data" / "mnist-5k.npz"


def fashion_root():
    """Return a folder with Fashion-MNIST, or skip with the reason."""
    places = [os.environ.get("COURSE_DATA"), REPOSITORY.parent / "shared" / "datasets", REPOSITORY / "data"]
    for place in places:
        if place and (Path(place) / "FashionMNIST" / "raw" / "train-images-idx3-ubyte").is_file():
            return Path(place)
    pytest.skip("Fashion-MNIST is neither in COURSE_DATA nor in ../shared/datasets nor in data/")


@pytest.fixture
def small_mnist():
    """Four idx files of a set with 7 training and 3 test images of 5 x 4 pixels, by their place below the root."""
    return small_set.small_mnist()


@pytest.fixture
def small_source(monkeypatch, tmp_path, small_mnist):
    """Let load("mnist") know the small files instead of the published ones, and look nowhere but in a root."""
    digests = {name: small_set.sha256(content) for name, content in small_mnist.items()}
    archive = Archive("https://mirror.invalid/mnist.tar.gz", 1, "sha256:0", tuple(small_mnist))
    small = catalog._SOURCES["mnist"]._replace(archives=(archive,), files=digests, num_train=5)
    monkeypatch.setitem(catalog._SOURCES, "mnist", small)
    monkeypatch.delenv("COURSE_DATA", raising=False)
    monkeypatch.setattr(storage, "checkout_folder", lambda: None)
    monkeypatch.setattr(storage, "cache_folder", lambda: tmp_path / "cache")


def write(files, root):
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


# The embedded set


def test_mnist_5k_holds_every_class_equally_often_in_every_split():
    data = load("mnist-5k")
    counts = [split.labels.bincount().tolist() for split in (data.train, data.val, data.test)]
    assert counts == [[400] * 10, [50] * 10, [50] * 10]
    assert data.train.images.shape == (4000, 1, 28, 28)
    assert (data.train.images.dtype, data.train.labels.dtype) == (torch.uint8, torch.int64)
    assert (len(data.val), len(data.test), data.image_shape) == (500, 500, (1, 28, 28))


def test_no_image_of_mnist_5k_is_in_two_splits():
    data = load("mnist-5k")
    images = torch.cat([data.train.images, data.val.images, data.test.images])
    assert len({image.numpy().tobytes() for image in images}) == 5000


def test_digits_of_mnist_5k_have_their_labels():
    data = load("mnist-5k")
    x, y = data.tensors("train")
    x_test, y_test = data.tensors("test")
    means = torch.stack([x[y == k].mean(0) for k in range(10)])
    accuracy = (torch.cdist(x_test, means).argmin(1) == y_test).double().mean()
    assert accuracy > 0.75  # nearest class mean; wrong labels would give 0.1


def test_loading_twice_gives_the_same_tensors_in_new_memory():
    first, second = load("mnist-5k"), load("mnist-5k")
    first.train.images.zero_()
    assert second.train.images.any()


def test_readme_states_the_hash_and_size_of_the_embedded_file():
    readme = (REPOSITORY / "data" / "README.md").read_text(encoding="utf-8")
    content = EMBEDDED.read_bytes()
    assert f"{len(content):,}" in readme
    assert hashlib.sha256(content).hexdigest() in readme
    assert len(content) < 900_000


# Scaling


def test_training_split_is_normalised_to_mean_zero_and_variance_one():
    x, _ = load("mnist-5k").tensors("train", dtype=torch.float64)
    assert x.mean().item() == pytest.approx(0.0, abs=1e-12)
    assert x.square().mean().item() == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("name", ["mnist-5k", "fashion-mnist"])
def test_moments_in_the_catalog_are_those_of_the_training_pixels(name):
    root = None if name == "mnist-5k" else fashion_root()
    data = load(name, root=root, download=False)
    assert data.known_moments is not None
    assert (data.mean, data.std) == mean_and_std(data.train.images)


@pytest.mark.usefixtures("small_source")
def test_moments_of_other_files_are_counted(tmp_path, small_mnist):
    write(small_mnist, tmp_path)
    data = load("mnist", root=tmp_path, download=False)
    pixels = data.train.images.double() / 255
    assert (data.mean[0], data.std[0]) == pytest.approx(
        (pixels.mean().item(), pixels.std(correction=0).item())
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_rows_begin_where_a_tensor_of_torch_would_and_scale_as_one_tensor_does(dtype):
    images = torch.randint(0, 256, (600, 1, 5, 7), generator=make_generator(0), dtype=torch.uint8)
    split = Split(images, torch.zeros(600, dtype=torch.int64))
    data = Dataset("made up", split, split, split, ("a",))
    x, _ = data.tensors("train", dtype=dtype)
    assert x.data_ptr() % 64 == 0
    assert torch.equal(x, images.to(dtype).flatten(1).sub_(255 * data.mean[0]).div_(255 * data.std[0]))


def test_mean_and_std_are_those_of_each_channel():
    images = torch.randint(0, 256, (300, 3, 4, 5), generator=make_generator(0), dtype=torch.uint8)
    images[:, 1] //= 4
    split = Split(images, torch.zeros(300, dtype=torch.int64))
    data = Dataset("made up", split, split, split, ("a",))
    pixels = images.double() / 255
    assert data.mean == pytest.approx(pixels.mean((0, 2, 3)).tolist(), rel=1e-12)
    assert data.std == pytest.approx(pixels.std((0, 2, 3), correction=0).tolist(), rel=1e-12)
    x, _ = data.tensors("val", dtype=torch.float64)
    expected = (pixels - pixels.mean((0, 2, 3), keepdim=True)) / pixels.std(
        (0, 2, 3), correction=0, keepdim=True
    )
    torch.testing.assert_close(x, expected.flatten(1), rtol=1e-12, atol=1e-12)


def test_validation_and_test_images_are_scaled_by_the_training_split():
    data = load("mnist-5k")
    x, y = data.tensors("test")
    expected = (data.test.images.double() / 255 - data.mean[0]) / data.std[0]
    torch.testing.assert_close(x, expected.flatten(1).float())
    assert torch.equal(y, data.test.labels)


def test_tensors_leave_the_images_and_labels_alone():
    data = load("mnist-5k")
    before = data.train.images.clone(), data.train.labels.clone()
    x, y = data.tensors("train")
    x.zero_()
    y.zero_()
    assert torch.equal(data.train.images, before[0])
    assert torch.equal(data.train.labels, before[1])


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(
        ValueError, match=r"Unknown dataset 'minst'; known: cifar10, fashion-mnist, mnist, mnist-5k"
    ):
        load("minst")
    with pytest.raises(ValueError, match=r"Unknown split 'valid'; known: test, train, val"):
        load("mnist-5k").tensors("valid")


# Fashion-MNIST


def test_fashion_mnist_is_divided_as_random_split_with_seed_42_does():
    data = load("fashion-mnist", root=fashion_root(), download=False)
    train, val = torch.utils.data.random_split(
        range(60_000), [50_000, 10_000], torch.Generator().manual_seed(42)
    )
    published = read_idx((fashion_root() / "FashionMNIST/raw/train-labels-idx1-ubyte").read_bytes())
    labels = torch.from_numpy(published.astype(np.int64))
    assert torch.equal(data.train.labels, labels[list(train.indices)])
    assert torch.equal(data.val.labels, labels[list(val.indices)])
    assert data.classes[9] == "Ankle boot"


def test_fashion_mnist_keeps_each_image_beside_its_label():
    data = load("fashion-mnist", root=fashion_root(), download=False)
    raw = fashion_root() / "FashionMNIST" / "raw"
    images = read_idx((raw / "t10k-images-idx3-ubyte").read_bytes())
    assert np.array_equal(data.test.images[:, 0].numpy(), images)
    published = read_idx((raw / "train-images-idx3-ubyte").read_bytes())
    order = torch.randperm(60_000, generator=torch.Generator().manual_seed(42))
    assert np.array_equal(data.val.images[17, 0].numpy(), published[order[50_017]])
    # Of all 60,000 training images the mean is 0.28604 (S0-009); of 50,000 of them it is off by less than 0.001.
    assert data.mean[0] == pytest.approx(0.28604, abs=1e-3)


# Finding files


def test_root_comes_before_course_data_and_both_before_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "named"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "platform", "linux")
    places = storage.folders(tmp_path / "root")
    assert places[:2] == [tmp_path / "root", tmp_path / "named"]
    assert places[-1] == tmp_path / "cache" / "course-utils"
    assert REPOSITORY / "data" in places


@pytest.mark.parametrize(
    ("platform", "variable", "expected"),
    [
        ("linux", None, ".cache/course-utils"),
        ("darwin", None, "Library/Caches/course-utils"),
        ("win32", None, "AppData/Local/course-utils"),
        ("win32", "LOCALAPPDATA", "chosen/course-utils"),
        ("linux", "XDG_CACHE_HOME", "chosen/course-utils"),
    ],
)
def test_cache_follows_the_custom_of_the_platform(monkeypatch, tmp_path, platform, variable, expected):
    for name in ("LOCALAPPDATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(sys, "platform", platform)
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "chosen"))
    assert storage.cache_folder() == tmp_path / expected


@pytest.mark.usefixtures("small_source")
def test_a_set_is_read_from_files_that_lie_there(tmp_path, small_mnist):
    write(small_mnist, tmp_path / "root")
    data = load("mnist", root=tmp_path / "root", download=False)
    assert (len(data.train), len(data.val), len(data.test)) == (5, 2, 3)
    assert sorted(torch.cat([data.train.labels, data.val.labels]).tolist()) == list(range(7))
    assert data.test.images.shape == (3, 1, 5, 4)


@pytest.mark.usefixtures("small_source")
def test_packed_files_give_the_same_set_as_unpacked_ones(tmp_path, small_mnist):
    write(small_mnist, tmp_path / "plain")
    write(
        {f"{name}.gz": gzip.compress(content) for name, content in small_mnist.items()}, tmp_path / "packed"
    )
    plain, packed = (load("mnist", root=tmp_path / place, download=False) for place in ("plain", "packed"))
    assert torch.equal(plain.train.images, packed.train.images)
    assert torch.equal(plain.val.labels, packed.val.labels)


@pytest.mark.usefixtures("small_source")
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_damaged_file_is_named_and_not_used(tmp_path, small_mnist, suffix):
    bad = "MNIST/raw/t10k-labels-idx1-ubyte"
    content = small_mnist.pop(bad)
    damaged = content[:-1] + b"\x07"
    write({**small_mnist, bad + suffix: gzip.compress(damaged) if suffix else damaged}, tmp_path)
    with pytest.raises(
        DatasetUnavailableError, match=rf"t10k-labels-idx1-ubyte{suffix} is damaged.* should be .* got"
    ):
        load("mnist", root=tmp_path)


@pytest.mark.usefixtures("small_source")
@pytest.mark.parametrize(
    "spoil",
    [
        lambda packed: packed[:-6],
        lambda packed: b"PK" + packed[2:],
        lambda packed: packed[:10] + b"\xff" * 99,
    ],
    ids=["truncated", "no gzip", "wrong bytes"],
)
def test_a_spoiled_archive_is_named(tmp_path, small_mnist, spoil):
    bad = "MNIST/raw/t10k-images-idx3-ubyte"
    packed = gzip.compress(small_mnist.pop(bad))
    write({**small_mnist, f"{bad}.gz": spoil(packed)}, tmp_path)
    with pytest.raises(DatasetUnavailableError, match=r"t10k-images-idx3-ubyte\.gz is damaged: .*Delete it"):
        load("mnist", root=tmp_path)


def test_one_changed_byte_of_the_embedded_set_is_noticed(tmp_path):
    content = bytearray(EMBEDDED.read_bytes())
    content[5000] ^= 1
    (tmp_path / "mnist-5k.npz").write_bytes(content)
    with pytest.raises(DatasetUnavailableError, match=r"mnist-5k\.npz is damaged or another version"):
        load("mnist-5k", root=tmp_path)


@pytest.mark.usefixtures("small_source")
def test_without_download_the_error_names_folder_and_files_and_mnist_5k(tmp_path):
    with pytest.raises(DatasetUnavailableError) as caught:
        load("mnist", root=tmp_path / "root", download=False)
    message = str(caught.value)
    assert "download=False" in message
    assert str(tmp_path / "root") in message
    assert "MNIST/raw/train-images-idx3-ubyte" in message
    assert 'load("mnist-5k")' in message


@pytest.mark.usefixtures("small_source")
def test_a_lost_embedded_file_is_said_to_be_lost(monkeypatch, tmp_path):
    monkeypatch.setattr(storage, "PACKAGE", tmp_path)
    with pytest.raises(DatasetUnavailableError, match="this installation lacks its embedded file"):
        load("mnist-5k", root=tmp_path)


# Downloading


@pytest.mark.usefixtures("small_source")
def test_a_download_is_moved_into_place_and_found_the_next_time(monkeypatch, tmp_path, small_mnist):
    calls = []

    def deliver(archive, folder):
        calls.append(archive.url)
        write(small_mnist, folder)

    monkeypatch.setattr(download, "_download", deliver)
    first, second = load("mnist", root=tmp_path), load("mnist", root=tmp_path)
    assert calls == ["https://mirror.invalid/mnist.tar.gz"]
    assert torch.equal(first.train.images, second.train.images)
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*ubyte*"))
    assert left == sorted(small_mnist)  # and no scratch folder beside them


@pytest.mark.usefixtures("small_source")
def test_an_interrupted_download_leaves_nothing_behind(monkeypatch, tmp_path, small_mnist):
    def fail_half_way(archive, folder):
        write(dict(list(small_mnist.items())[:2]), folder)
        raise OSError("the line is dead")

    monkeypatch.setattr(download, "_download", fail_half_way)
    with pytest.raises(DatasetUnavailableError) as caught:
        load("mnist", root=tmp_path)
    assert "cannot be downloaded: the line is dead" in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "mnist-5k" in str(caught.value)
    assert list(tmp_path.rglob("*ubyte*")) == []


@pytest.mark.usefixtures("small_source")
def test_a_download_with_wrong_content_is_refused(monkeypatch, tmp_path, small_mnist):
    name = "MNIST/raw/train-labels-idx1-ubyte"
    wrong = {**small_mnist, name: small_mnist[name][:-1] + b"\xff"}
    monkeypatch.setattr(download, "_download", lambda archive, folder: write(wrong, folder))
    with pytest.raises(
        DatasetUnavailableError, match="train-labels-idx1-ubyte is damaged or another version"
    ):
        load("mnist", root=tmp_path)
    assert list(tmp_path.rglob("*ubyte")) == []


@pytest.mark.usefixtures("small_source")
def test_a_download_without_the_files_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(download, "_download", lambda archive, folder: None)
    with pytest.raises(DatasetUnavailableError, match="have other files than MNIST/raw/train-images"):
        load("mnist", root=tmp_path)


def test_archives_are_those_of_torchvision_and_come_by_https():
    from torchvision.datasets import CIFAR10, MNIST, FashionMNIST

    urls = {name: [archive.url for archive in source.archives] for name, source in catalog._SOURCES.items()}
    assert urls["cifar10"] == [CIFAR10.url]
    assert set(urls["mnist"]) == {f"{MNIST.mirrors[0]}{file}" for file, _ in MNIST.resources}
    names = [url.rpartition("/")[2] for url in urls["fashion-mnist"]]
    assert names == [file for file, _ in FashionMNIST.resources]  # its mirror there speaks http
    assert all(url.startswith("https://") for some in urls.values() for url in some)


def test_every_file_of_a_set_is_in_one_of_its_archives():
    for source in catalog._SOURCES.values():
        promised = [file for archive in source.archives for file in archive.files]
        assert promised == (list(source.files) if source.archives else [])


@pytest.mark.usefixtures("small_source")
def test_two_that_ask_at_once_download_once(monkeypatch, tmp_path, small_mnist):
    calls = []

    def deliver_slowly(archive, folder):
        calls.append(archive.url)
        time.sleep(0.2)  # long enough that the other thread stands at the lock
        write(small_mnist, folder)

    monkeypatch.setattr(download, "_download", deliver_slowly)
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(load("mnist", root=tmp_path))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == ["https://mirror.invalid/mnist.tar.gz"]
    assert torch.equal(answers[0].train.images, answers[1].train.images)


def test_a_lock_keeps_another_process_out(tmp_path):
    code = (
        "import sys; from pathlib import Path; from filelock import FileLock, Timeout\n"
        "try:\n"
        f"    FileLock(Path({str(tmp_path)!r}) / '.mnist.lock').acquire(timeout=0.05); print('in')\n"
        "except Timeout: print('out')"
    )

    def neighbour():
        return subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()

    with storage.locked(tmp_path, "mnist"):
        assert neighbour() == "out"
    assert neighbour() == "in"


def test_a_download_goes_to_a_folder_that_can_be_made(monkeypatch, tmp_path):
    blocked = tmp_path / "a file, not a folder"
    blocked.write_text("")
    monkeypatch.setenv("COURSE_DATA", str(blocked))
    monkeypatch.setattr(storage, "checkout_folder", lambda: None)
    monkeypatch.setattr(storage, "cache_folder", lambda: tmp_path / "cache" / "deep")
    assert storage.download_folder() == tmp_path / "cache" / "deep"
    with pytest.raises(
        DatasetUnavailableError, match=r"None of the folders .* Name another as root=\.\.\. or"
    ):
        storage.download_folder(blocked)


# Readers


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "starts with 00 00 08, got nothing"),
        (b"\x00\x00\x0d\x01\x00\x00\x00\x01\x00", "starts with 00 00 08, got 00 00 0d"),
        (b"\x00\x00\x08\x01\x00\x00\x00\x05abc", r"of shape \(5,\) holds 5 bytes, got 3"),
        (b"\x00\x00\x08\x03\x00\x00\x00\x05", "holds"),
    ],
    ids=["empty", "floats", "short", "short header"],
)
def test_idx_reader_says_what_is_wrong(content, message):
    with pytest.raises(ValueError, match=message):
        read_idx(content)


def test_idx_reader_agrees_with_the_writer_on_unequal_sizes():
    array = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    assert np.array_equal(read_idx(idx(array)), array)


def python2_pickle(pixels, labels):
    """Pickle {"data": pixels, "labels": labels} as Python 2 did, opcode by opcode: its strings are bytes ("U", "T")."""
    size, rows = pixels.size.to_bytes(4, "little"), len(pixels).to_bytes(1, "little")
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
    dtype = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    state = b"(K\x01K" + rows + b"M\x00\x0c\x86" + dtype + b"\x89T" + size + pixels.tobytes() + b"tb"
    listed = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(U\x04data" + array + state + b"U\x06labels" + listed + b"u."


def cifar_pixels(n):
    return torch.randint(0, 256, (n, 3072), generator=make_generator(n), dtype=torch.uint8).numpy()


def test_python2_writer_of_these_tests_writes_what_pickle_reads():
    pixels = cifar_pixels(3)
    batch = pickle.loads(python2_pickle(pixels, [5, 0, 9]), encoding="latin1")
    assert np.array_equal(batch["data"], pixels)
    assert batch["labels"] == [5, 0, 9]


@pytest.mark.parametrize("version", [2, 3])
def test_cifar_reader_returns_the_pixels_and_labels_that_were_pickled(version):
    pixels, labels = cifar_pixels(3), [5, 0, 9]
    content = (
        python2_pickle(pixels, labels)
        if version == 2
        else pickle.dumps({"data": pixels, "labels": labels}, 4)
    )
    images, read = read_cifar_batch(content)
    assert np.array_equal(images, pixels.reshape(3, 3, 32, 32))
    assert read.tolist() == labels


class Intruder:
    """A pickle that would call a function of its choice."""

    def __reduce__(self):
        return os.mkdir, ("made-by-a-pickle",)


def test_cifar_reader_runs_nothing_that_a_file_asks_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"asks for (posix|nt)\.mkdir"):
        read_cifar_batch(pickle.dumps({"data": 1, "labels": Intruder()}, protocol=2))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", pickle.dumps({"data": 3}), pickle.dumps([1]), b"garbage"])
def test_cifar_reader_refuses_what_is_no_batch(content):
    with pytest.raises(ValueError, match="not a batch of CIFAR-10"):
        read_cifar_batch(content)


def test_cifar10_is_put_together_from_five_batches_and_a_test_batch(monkeypatch, tmp_path):
    pixels = cifar_pixels(4)
    files = {f"cifar-10-batches-py/data_batch_{k}": python2_pickle(pixels, [k] * 4) for k in range(1, 6)}
    files["cifar-10-batches-py/test_batch"] = python2_pickle(pixels[:3], [0, 1, 2])
    digests = {name: f"md5:{hashlib.md5(content).hexdigest()}" for name, content in files.items()}
    source = catalog._SOURCES["cifar10"]._replace(files=digests, num_train=15)
    monkeypatch.setitem(catalog._SOURCES, "cifar10", source)
    write(files, tmp_path)
    data = load("cifar10", root=tmp_path, download=False)
    assert (len(data.train), len(data.val), len(data.test), data.image_shape) == (15, 5, 3, (3, 32, 32))
    assert torch.cat([data.train.labels, data.val.labels]).bincount().tolist() == [0, 4, 4, 4, 4, 4]
    assert len(data.mean) == len(data.std) == 3


def test_cifar10_digests_are_those_of_torchvision():
    from torchvision.datasets import CIFAR10

    known = {
        f"cifar-10-batches-py/{name}": f"md5:{digest}"
        for name, digest in CIFAR10.train_list + CIFAR10.test_list
    }
    assert catalog._SOURCES["cifar10"].files == known
