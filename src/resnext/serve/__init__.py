"""Trained networks over HTTP: images in, answers out, for programs and for people with a browser.

Needs the extra `serve`. Its modules import FastAPI and uvicorn, so `serve` imports them when it is called.
"""

from __future__ import annotations

from resnext.serve.limits import RequestLimits
from resnext.serve.serving import ServeError, ServeOptions, serve

__all__ = ["RequestLimits", "ServeError", "ServeOptions", "serve"]
