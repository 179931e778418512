"""Any pair of files: volumes of any format, HDF5 datasets, or single images."""

from functools import partial

from autosam.data.manifest import as_name
from autosam.data.sources.release import Release, ReleaseReader, Request, Slice
from autosam.data.sources.release_files import read_pair
from autosam.data.sources.stack import Stack, mask_reader, stack_slices, with_masks
from autosam.errors import InputError
from autosam.images import read_labels
from autosam.images.formats import HDF5_SUFFIXES, IMAGE_SUFFIXES, PLAIN_SUFFIXES, hdf5_datasets
from autosam.images.image_source import split_dataset
from autosam.images.label_names import unmarked, without_suffix
from autosam.images.valid_masks import valid_beside

_RAW = ("/raw", "/image", "/images")
_LABELS = ("/labels", "/label", "/masks", "/instances")


class FilePair(ReleaseReader):
    """`IMAGE LABELS`: two TIFFs, `file.h5:/raw file.h5:/labels`, or one HDF5 file with `raw` and `labels`."""

    name = "files"
    layout = "IMAGE LABELS (two TIFFs or PNGs, file.h5:/raw file.h5:/labels), or an HDF5 file with raw and labels"
    takes_labels = True

    def _sniff(self, request: Request) -> bool:
        suffix = request.path.suffix.lower()
        if not request.path.is_file() or suffix not in IMAGE_SUFFIXES:
            return False
        if request.labels is not None:
            return split_dataset(request.labels)[0].is_file()
        return suffix in HDF5_SUFFIXES

    def _open(self, request: Request) -> Release:
        path, dataset = request.path, request.dataset
        if request.labels is not None:
            truth, truth_dataset = split_dataset(request.labels)
        else:
            if path.suffix.lower() not in HDF5_SUFFIXES:
                raise InputError(f"{path} has no labels; name them as the second argument.")
            there = hdf5_datasets(path)
            dataset = dataset or next((name for name in _RAW if name in there), None)
            truth, truth_dataset = path, next((name for name in _LABELS if name in there), None)
            if dataset is None or truth_dataset is None:
                listed = ", ".join(there) or "none"
                raise InputError(
                    f"{path} has no datasets raw and labels; name them as {path}:/a {path}:/b; it has: {listed}."
                )
        name = as_name(path.name.removesuffix(path.suffix))
        stem = without_suffix(truth.name)
        masks = valid_beside(truth.parent) if request.labels is not None else {}
        mask = next((masks[name] for name in (stem, *unmarked(stem)) if name in masks), None)
        if path.suffix.lower() in PLAIN_SUFFIXES:
            read = partial(read_pair, path, truth, partial(read_labels, ignore=request.ignore))
            return Release(self.name, [Slice(name, read, valid=mask_reader(mask))], "ids-2d")
        image, labels = Stack.open(path, dataset), Stack.open(truth, truth_dataset)
        if image.single and labels.single:
            single = Slice(name, lambda: (image.read(0), labels.read(0)), valid=mask_reader(mask))
            return Release(self.name, [single], "ids-2d")
        return Release(self.name, with_masks(stack_slices(name, image, labels), mask), "ids-3d")
