"""Repositories of the hub: fetched by its own client into its own cache, and checked by their digests.

The client compares sizes only. What it fetched is compared here with the digest that the hub names the file
by, and then with what the same name gave before. A file that is in the cache is used without a connection.
"""

from __future__ import annotations

import contextlib
import errno
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from resnext.catalogue.errors import DamagedWeights, FetchError, UnknownWeights
from resnext.catalogue.trust import check_trusted, file_digest

CONFIG_FILE = "config.json"
#: Names of the weights in a repository, the preferred one first.
HUB_WEIGHTS_FILES = ("model.safetensors", "pytorch_model.bin")
#: How long to wait for the hub's answer, in seconds.
ANSWER_S = 4.0
_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Repository:
    """A repository of the hub, at a revision: a branch, a tag or a commit.

    >>> Repository.parse("timm/resnet50.a1_in1k@v1")
    Repository(name='timm/resnet50.a1_in1k', revision='v1')
    """

    name: str
    revision: str = "main"

    @classmethod
    def parse(cls, text: str) -> Repository:
        """The repository called `owner/name` or `owner/name@revision`. Raises `UnknownWeights`."""
        name, _, revision = text.partition("@")
        if not _NAME.fullmatch(name) or ".." in text:
            raise UnknownWeights(
                f"hf-hub:{text}: must be hf-hub:owner/name or hf-hub:owner/name@revision, as in "
                "hf-hub:timm/resnet50.a1_in1k"
            )
        return cls(name, revision or "main")

    def cached(self) -> Path | None:
        """The folder of its weights in the cache; None if they are not there, or nobody could have fetched
        them."""
        try:
            client = _client()
        except FetchError:
            return None
        for name in HUB_WEIGHTS_FILES:
            found = client.try_to_load_from_cache(self.name, name, revision=self.revision)
            config = client.try_to_load_from_cache(self.name, CONFIG_FILE, revision=self.revision)
            if isinstance(found, str) and isinstance(config, str):
                return Path(found).parent
        return None

    def fetch(self) -> Path:
        """The folder of its weights and its config.json, from the cache or from the hub.

        Raises:
            UnknownWeights: There is no such repository or revision, or no weights in it.
            FetchError: No connection, no room on the disk, or the client is not installed.
            DamagedWeights: The file is not the one that the hub names, or not the one of its first use. The
                former is removed.
        """
        folder = self.cached() or self._download()
        self.verify(folder)
        return folder

    def verify(self, folder: Path) -> None:
        """Compare the weights in `folder` with their digest and with their record. Raises
        `DamagedWeights`."""
        path = next(folder / name for name in HUB_WEIGHTS_FILES if (folder / name).exists())
        blob = path.resolve()  # large files are named by their SHA-256
        if _DIGEST.fullmatch(blob.name) and (digest := file_digest(blob)) != blob.name:
            for one in {path, blob}:
                one.unlink()
            raise DamagedWeights(
                f"{self}: the file arrived damaged, or was changed since (SHA-256 {digest[:16]}..., not "
                f"{blob.name[:16]}...), and is removed; fetch it again"
            )
        check_trusted(f"{self}/{path.name}", blob)

    def _download(self) -> Path:
        client = _client()
        if not client.constants.HF_HUB_OFFLINE and not _is_reachable(client):
            raise FetchError(self._explain(client, OSError()))
        try:
            self._download_file(client, CONFIG_FILE)
            return self._download_weights(client)
        except client.errors.RevisionNotFoundError:
            raise UnknownWeights(f"{self}: the repository has no such revision; try @main") from None
        except client.errors.RepositoryNotFoundError:
            raise UnknownWeights(
                f"{self}: the hub has no such repository, or a private one (then set HF_TOKEN)"
            ) from None
        except client.errors.RemoteEntryNotFoundError:
            raise UnknownWeights(f"{self}: has no {CONFIG_FILE}, so it holds no model") from None
        except OSError as error:
            raise FetchError(self._explain(client, error)) from None

    def _download_weights(self, client: ModuleType) -> Path:
        for name in HUB_WEIGHTS_FILES:
            with contextlib.suppress(client.errors.RemoteEntryNotFoundError):
                return self._download_file(client, name).parent
        raise UnknownWeights(f"{self}: has neither {' nor '.join(HUB_WEIGHTS_FILES)}")

    def _download_file(self, client: ModuleType, name: str) -> Path:
        found = client.hf_hub_download(self.name, name, revision=self.revision, etag_timeout=ANSWER_S)
        return Path(found)

    def _explain(self, client: ModuleType, error: OSError) -> str:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            self._remove_parts(client)
            return f"{self}: no room on the disk for it; HF_HOME names another place for the cache"
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return f"{self}: the cache cannot be written ({error.strerror}: {error.filename}); say HF_HOME"
        place = f"{client.constants.ENDPOINT}/{self.name}/resolve/{self.revision}"
        return (
            f"{self}: not in the cache, and {client.constants.ENDPOINT} cannot be reached. Where there is a "
            f"connection, get {place}/{CONFIG_FILE} and {place}/{HUB_WEIGHTS_FILES[0]}, put both into a "
            "folder, and give --weights local-dir:FOLDER"
        )

    def _remove_parts(self, client: ModuleType) -> None:
        folder = Path(client.constants.HF_HUB_CACHE) / f"models--{self.name.replace('/', '--')}"
        for part in folder.glob("blobs/*.incomplete"):
            with contextlib.suppress(OSError):
                part.unlink()

    def __str__(self) -> str:
        return f"hf-hub:{self.name}" + (f"@{self.revision}" if self.revision != "main" else "")


def _is_reachable(client: ModuleType) -> bool:
    """Whether the hub answers at all, whatever it says. The client itself would try for half a minute."""
    answers: list[object] = []

    def ask() -> None:
        with contextlib.suppress(Exception):  # of whichever library the client asks with
            answers.append(client.utils.get_session().head(client.constants.ENDPOINT, timeout=ANSWER_S))

    thread = threading.Thread(target=ask, daemon=True)  # looking up a name has no time limit
    thread.start()
    thread.join(ANSWER_S)
    return bool(answers)


def _client() -> ModuleType:
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ImportError:
        raise FetchError(
            "weights of the hub need the package huggingface_hub; pip install 'resnext[hub]'"
        ) from None
    return huggingface_hub
