"""Hub folders on their way to the hub, by its own client."""

from __future__ import annotations

from pathlib import Path

from resnext.catalogue.hub import Repository
from resnext.errors import ResnextError


class SendError(ResnextError):
    """Weights that cannot be sent to the hub: no connection, no right to write there, or a package that is
    not installed."""

    exit_code = 5


def send_folder(folder: Path, repository: str, private: bool = False) -> str:
    """Send a hub folder to a repository of the hub, which is made if it is not there.

    Args:
        folder: The folder.
        repository: Its name, `owner/name`, or `owner/name@branch`.
        private: Whether only its owner may read a new repository.

    Returns:
        The address of what was sent.

    Raises:
        UnknownWeights: `repository` is no name.
        SendError: The hub cannot be reached or refuses, or its client is not installed.
    """
    place = Repository.parse(repository)
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError:
        raise SendError(
            "sending weights to the hub needs the package huggingface_hub; pip install 'resnext[hub]'"
        ) from None
    client = huggingface_hub.HfApi()
    try:
        client.create_repo(place.name, private=private, exist_ok=True)
        sent = client.upload_folder(
            repo_id=place.name,
            folder_path=folder,
            revision=place.revision,
            commit_message="A network and how its images are prepared",
        )
    except (OSError, huggingface_hub.errors.HfHubHTTPError) as error:
        first = str(error).strip().partition("\n")[0]
        raise SendError(
            f"{place}: cannot be written ({first}). HF_TOKEN must hold a token that may write there, and "
            "the hub be in reach; what save_pretrained writes can be sent later"
        ) from None
    return str(sent)
