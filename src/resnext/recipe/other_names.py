"""What settings are called elsewhere, for the hint about a name that is none here. Standard library only."""

from __future__ import annotations

from collections.abc import Collection

#: Our names for what other programs call so; the first that exists where the name was given is meant.
OTHER_NAMES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("batch_size", "batchsize", "bs", "train_batch_size"), ("batch",)),
    **dict.fromkeys(("num_epochs", "n_epochs", "max_epochs", "num_train_epochs"), ("epochs",)),
    **dict.fromkeys(("learning_rate", "base_lr", "lr0", "max_lr"), ("training.lr",)),
    **dict.fromkeys(("wd", "decay"), ("training.weight_decay",)),
    **dict.fromkeys(("optimizer", "opt", "optim"), ("training.optimiser",)),
    **dict.fromkeys(("scheduler", "sched", "lr_scheduler", "lr_schedule"), ("training.schedule",)),
    **dict.fromkeys(("ema", "model_ema", "swa"), ("training.averaging",)),
    **dict.fromkeys(("clip_grad", "grad_clip", "max_grad_norm"), ("training.clip_norm",)),
    **dict.fromkeys(("grad_accum", "gradient_accumulation_steps"), ("training.accumulate",)),
    **dict.fromkeys(("image_size", "img_size", "imgsz", "input_size", "size"), ("data.size_px", "size_px")),
    **dict.fromkeys(("augment", "augmentation", "auto_augment", "aa"), ("data.policy",)),
    **dict.fromkeys(("arch", "architecture", "network", "net", "backbone"), ("model", "base")),
    **dict.fromkeys(("num_classes", "nb_classes", "n_classes"), ("classes",)),
    **dict.fromkeys(("amp", "fp16", "bf16", "dtype", "mixed_precision"), ("precision", "mode")),
    **dict.fromkeys(("num_workers", "n_workers", "threads", "jobs"), ("workers",)),
    **dict.fromkeys(("gpu", "gpus", "cuda", "accelerator"), ("device",)),
    **dict.fromkeys(("pretrained", "initial_checkpoint", "ckpt", "checkpoint", "init"), ("weights",)),
    **dict.fromkeys(("output", "output_dir", "outdir", "save_dir", "project", "o"), ("out", "runs")),
    **dict.fromkeys(("run_name", "experiment"), ("name",)),
    **dict.fromkeys(("random_seed", "manual_seed"), ("seed",)),
    **dict.fromkeys(("topk", "top_k", "k"), ("top",)),
    **dict.fromkeys(("tta", "test_time_augmentation"), ("views",)),
    **dict.fromkeys(("continue", "resume_from"), ("resume",)),
}


def meant_by(name: str, known: Collection[str]) -> str | None:
    """The one of `known` that other programs call `name`, if any.

    >>> meant_by("batch_size", ["batch", "epochs"]), meant_by("batch_size", ["top"])
    ('batch', None)
    """
    return next((ours for ours in OTHER_NAMES.get(name, ()) if ours in known), None)
