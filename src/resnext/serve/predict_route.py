"""`POST /predict` and `GET /models`: images in a form, in JSON or as they are; answers in JSON."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from resnext.serve.answering import Answering
from resnext.serve.bodies import Intake, apart, images_in
from resnext.serve.limits import RequestLimits
from resnext.serve.models import ImageAnswer, LoadedModel, Shelf
from resnext.serve.problems import named, problem


@dataclass(frozen=True)
class ClassProbability:
    """A class and its calibrated probability, from 0 to 1."""

    label: str
    probability: float
    description: str | None = None


@dataclass(frozen=True)
class AnsweredImage:
    """What the model says of an image.

    Attributes:
        name: Name of the file, or its number.
        label: The most probable class.
        probability: Its probability.
        ranking: The likeliest classes, the most probable first.
        set: Classes of the prediction set; null if the model promises none.
        rejected: Whether the answer is "none of these".
        map: Class activation map of `label`, rows from the top, if asked for.
    """

    name: str
    label: str
    probability: float
    ranking: list[ClassProbability]
    set: list[str] | None
    rejected: bool
    map: list[list[float]] | None = None


@dataclass(frozen=True)
class PredictAnswer:
    """The answer to `/predict`.

    Attributes:
        model: Name of the model.
        digest: SHA-256 of its tensors or of its file.
        engine: What computed it.
        milliseconds: From the end of the request's body to the answer.
        images: One for each image, in order.
    """

    model: str
    digest: str
    engine: str
    milliseconds: float
    images: list[AnsweredImage]


@dataclass(frozen=True)
class DescribedModel:
    """A model of the server.

    Attributes:
        name: Its name.
        digest: SHA-256 of its tensors or of its file.
        architecture: Name of its network.
        engine: What computes it.
        classes: Its classes.
        shorter_px: Pixels of the shorter side to which an image is resized.
        crop_px: Side of the square in its middle that the network sees.
        coverage: Share of images whose class is promised to be in the set; null if there are no sets.
        rejects: Whether it may answer "none of these".
        maps: Whether it gives class activation maps.
    """

    name: str
    digest: str
    architecture: str
    engine: str
    classes: list[str]
    shorter_px: int
    crop_px: int
    coverage: float | None
    rejects: bool
    maps: bool


_IMAGE = {"type": "string", "format": "binary"}
#: What the body of /predict may be, for the description of the server.
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["images"],
                    "properties": {"images": {"type": "array", "items": _IMAGE}},
                }
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["images"],
                    "additionalProperties": False,
                    "properties": {
                        "images": {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "contentEncoding": "base64"},
                        }
                    },
                }
            },
            "application/octet-stream": {"schema": _IMAGE},
            "image/*": {"schema": _IMAGE},
        },
    }
}


def predict_routes(shelf: Shelf, intake: Intake, answering: Answering, limits: RequestLimits) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["predict"])

    @router.post("/predict", response_model=PredictAnswer, openapi_extra=BODY)
    async def predict(
        request: Request,
        model: Annotated[str | None, Query(description="Name of the model; the first if left out.")] = None,
        top: Annotated[int, Query(ge=1, le=1000, description="Classes of the ranking.")] = 5,
        map: Annotated[bool, Query(description="Whether to give class activation maps.")] = False,
    ) -> JSONResponse:
        """Classify one image or many."""
        chosen = find_model(shelf, model)
        with intake.holding() as held:
            body = await intake.receive(request, held)
            start = time.perf_counter()
            kind = request.headers.get("content-type", "")
            images = await apart(lambda: images_in(body, kind, limits.images), body)
            answers = await answering.answer(chosen, images, map)
        names = [image.name for image in images]
        answered = [image_json(chosen, one, name, top) for one, name in zip(answers, names, strict=True)]
        return JSONResponse(
            {
                "model": chosen.name,
                "digest": chosen.digest,
                "engine": chosen.classifier.engine.name,
                "milliseconds": round(1000 * (time.perf_counter() - start), 2),
                "images": answered,
            }
        )

    @router.get("/models", response_model=list[DescribedModel])
    async def models() -> JSONResponse:
        """The models of this server; the first is meant where a request names none."""
        return JSONResponse([model_json(one) for one in shelf])

    return router


def find_model(shelf: Shelf, name: str | None) -> LoadedModel:
    """The model of this name, or the first. Raises `HTTPException` (404)."""
    try:
        return shelf.get(name)
    except KeyError:
        known = ", ".join(one.name for one in shelf)
        raise problem(404, f"there is no model {named(name or '')}; there is {known}") from None


def image_json(model: LoadedModel, answer: ImageAnswer, name: str, top: int) -> dict[str, Any]:
    """An `AnsweredImage` as plain values."""
    prediction, contract = answer.prediction, model.classifier.contract
    described = dict(zip(contract.classes, contract.descriptions or (), strict=False))
    has_sets = contract.calibration is not None and contract.calibration.sets is not None
    return {
        "name": name,
        "label": prediction.label,
        "probability": prediction.probability,
        "ranking": [
            {"label": label, "probability": share, "description": described.get(label)}
            for label, share in prediction.ranking[:top]
        ],
        "set": list(prediction.set) if has_sets else None,
        "rejected": prediction.rejected,
        "map": None if answer.map is None else answer.map.astype(np.float64).round(4).tolist(),
    }


def model_json(model: LoadedModel) -> dict[str, Any]:
    """A `DescribedModel` as plain values."""
    contract, engine = model.classifier.contract, model.classifier.engine
    calibration = contract.calibration
    sets = calibration and calibration.sets
    return {
        "name": model.name,
        "digest": model.digest,
        "architecture": contract.provenance.architecture,
        "engine": engine.name,
        "classes": list(contract.classes),
        "shorter_px": contract.resize.shorter_px,
        "crop_px": contract.resize.crop_px,
        "coverage": sets.coverage if sets else None,
        "rejects": bool(calibration and calibration.rejection),
        "maps": model.has_maps,
    }
