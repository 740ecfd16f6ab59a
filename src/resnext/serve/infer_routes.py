"""The addresses of the Open Inference Protocol, version 2."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from resnext.serve.answering import Answering
from resnext.serve.bodies import Intake, apart
from resnext.serve.infer_protocol import JSON_LENGTH, dump_infer, metadata, parse_infer, version_of
from resnext.serve.limits import RequestLimits
from resnext.serve.models import LoadedModel, Shelf
from resnext.serve.predict_route import find_model
from resnext.serve.problems import named, problem
from resnext.version import __version__

_TENSOR = {
    "type": "object",
    "required": ["name", "datatype", "shape"],
    "properties": {
        "name": {"type": "string", "enum": ["image"]},
        "datatype": {"type": "string", "enum": ["BYTES"]},
        "shape": {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 1}},
        "data": {"type": "array", "items": {"type": "string", "contentEncoding": "base64"}},
        "parameters": {"type": "object"},
    },
}
#: What the body of a request for answers may be, for the description of the server.
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["inputs"],
                    "properties": {
                        "id": {"type": "string", "maxLength": 1000},
                        "parameters": {"type": "object"},
                        "inputs": {"type": "array", "minItems": 1, "maxItems": 1, "items": _TENSOR},
                        "outputs": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {"name": {"type": "string"}, "parameters": {"type": "object"}},
                            },
                        },
                    },
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The outputs, in JSON or after it",
        "content": {
            "application/json": {"schema": {"type": "object", "required": ["model_name", "outputs"]}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
_OBJECT: dict[int | str, dict[str, Any]] = {
    200: {"description": "As asked", "content": {"application/json": {"schema": {"type": "object"}}}}
}


def infer_routes(shelf: Shelf, intake: Intake, answering: Answering, limits: RequestLimits) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])

    def find(name: str, version: str | None = None) -> LoadedModel:
        model = find_model(shelf, name)
        now = version_of(model)
        if version not in (None, now):
            raise problem(404, f"{model.name} has no version {named(str(version))}; now it is {now}")
        return model

    @router.get("", responses=_OBJECT)
    async def server() -> JSONResponse:
        """Name, version and extensions of the server."""
        return JSONResponse({"name": "resnext", "version": __version__, "extensions": ["binary_tensor_data"]})

    @router.get("/health/live", responses=_OBJECT)
    async def live() -> JSONResponse:
        """Whether the server lives."""
        return JSONResponse({"live": True})

    @router.get("/health/ready", responses=_OBJECT)
    async def ready() -> JSONResponse:
        """Whether the server answers; 503 once it stops."""
        intake.check_open()
        return JSONResponse({"ready": True})

    @router.get("/models/{name}", responses=_OBJECT)
    @router.get("/models/{name}/versions/{version}", responses=_OBJECT)
    async def model_metadata(name: str, version: str | None = None) -> JSONResponse:
        """Inputs, outputs and classes of a model."""
        return JSONResponse(metadata(find(name, version)))

    @router.get("/models/{name}/ready", responses=_OBJECT)
    @router.get("/models/{name}/versions/{version}/ready", responses=_OBJECT)
    async def model_ready(name: str, version: str | None = None) -> JSONResponse:
        """Whether a model answers."""
        model = find(name, version)
        intake.check_open()
        return JSONResponse({"name": model.name, "ready": True})

    @router.post("/models/{name}/infer", responses=_ANSWER, openapi_extra=BODY)
    @router.post("/models/{name}/versions/{version}/infer", responses=_ANSWER, openapi_extra=BODY)
    async def infer(request: Request, name: str, version: str | None = None) -> Response:
        """Classify images, which come as BYTES: in base64 as JSON, or in binary after it."""
        model = find(name, version)
        with intake.holding() as held:
            body = await intake.receive(request, held)
            length = request.headers.get(JSON_LENGTH)
            asked = await apart(lambda: parse_infer(body, length, limits.images), body)
            answers = await answering.answer(model, asked.images)
        content, json_bytes = dump_infer(model, asked, answers)
        if json_bytes is None:
            return Response(content, media_type="application/json")
        return Response(
            content, headers={JSON_LENGTH: str(json_bytes)}, media_type="application/octet-stream"
        )

    return router
