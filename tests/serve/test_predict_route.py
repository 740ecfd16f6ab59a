"""`/predict` and `/models`: every way to send images gives the answers of `Classifier.predict`."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from resnext.data.stored_images import UnlabelledImages
from resnext.engine import Classifier, explain_images
from tests.serve.loopback import CONTRACT, Served, encoded, form


def check(answered: Any, classifier: Classifier, image: bytes) -> None:
    [wanted] = classifier.predict([image])
    assert answered["label"] == wanted.label
    got = {one["label"]: one["probability"] for one in answered["ranking"]}
    assert got == pytest.approx(dict(wanted.ranking), abs=1e-6)
    assert (answered["rejected"], answered["set"]) == (wanted.rejected, list(wanted.set))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_bytes_json_and_form_give_the_answers_of_predict(
    served: Served, classifier: Classifier, kind: str
) -> None:
    images = [encoded(number, kind=kind) for number in range(3)]
    for image in images:
        for type in ("application/octet-stream", "image/png", "", "application/x-www-form-urlencoded"):
            [one] = served.post("/predict", image, type).json["images"]
            check(one, classifier, image)
    texts = [base64.b64encode(image).decode() for image in images]
    of_json = served.post("/predict", json.dumps({"images": texts}), "application/json; charset=utf-8").json
    of_form = served.post("/predict", *form(*images)).json
    assert [one["name"] for one in of_form["images"]] == ["0.png", "1.png", "2.png"]
    for answer in (of_json, of_form):
        for one, image in zip(answer["images"], images, strict=True):
            check(one, classifier, image)
        assert (answer["model"], answer["engine"]) == ("pets", "torch")
        assert len(answer["digest"]) == 64
        assert answer["milliseconds"] > 0


def test_map_and_top(served: Served, classifier: Classifier) -> None:
    image = encoded(5)
    [one] = served.post("/predict?map=true&top=1&model=other", image).json["images"]
    [wanted] = explain_images(classifier, UnlabelledImages([image]))
    assert np.allclose(one["map"], wanted.evidence, atol=1e-3)
    assert len(one["ranking"]) == 1
    [plain] = served.post("/predict", image).json["images"]
    assert plain["map"] is None


def test_models_are_described(served: Served) -> None:
    first, second = served.get("/models").json
    assert (first["name"], second["name"]) == ("pets", "other")
    assert first["classes"] == list(CONTRACT.classes)
    assert (first["shorter_px"], first["crop_px"], first["coverage"]) == (18, 16, 0.9)
    assert first["rejects"]
    assert first["maps"]


def test_requests_at_the_same_time_share_batches_and_answer_as_alone(
    served: Served, classifier: Classifier
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    images = [encoded(number) for number in range(24)]
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda image: served.post("/predict", image), images))
    for image, answer in zip(images, answers, strict=True):
        assert answer.status == 200
        check(answer.json["images"][0], classifier, image)
