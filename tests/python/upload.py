"""Uploads a file with tuspy, the stock client of the tus protocol, in the ways that its manual shows. Knows nothing of Beatbook but the
metadata that the station wants: sha256 and type.

upload.py whole|part|rest|again|checked URL TOKEN FILE SHA256 TYPE [UPLOAD_URL]
"""

import sys

from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError

CHUNK_BYTES = 200_000


def main() -> None:
    how, url, token, path, sha256, media_type = sys.argv[1:7]
    client = TusClient(url, headers={"Authorization": f"Bearer {token}"})
    options = {"file_path": path, "chunk_size": CHUNK_BYTES, "metadata": {"sha256": sha256, "type": media_type}}
    if how == "rest":
        # Another process, which was told the place alone: it asks how far the upload is.
        uploader = client.uploader(url=sys.argv[7], **options)
        print("from", uploader.offset)
        uploader.upload()
    elif how == "again":
        # The client believes that it begins anew; it is told better, asks, and has nothing left to send.
        uploader = client.uploader(retries=1, **options)
        uploader.upload()
    else:
        uploader = client.uploader(upload_checksum=how == "checked", **options)
        uploader.upload(stop_at=2 * CHUNK_BYTES if how == "part" else None)
    print("url", uploader.url)
    print("offset", uploader.offset)


if __name__ == "__main__":
    try:
        main()
    except TusCommunicationError as error:
        print("status", error.status_code)
        sys.exit(3)
