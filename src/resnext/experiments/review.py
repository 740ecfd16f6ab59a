"""The statements of the paper's review, with what is known about each and what tests it."""

from __future__ import annotations

from resnext.experiments.findings import ReviewStatement

REVIEW: tuple[ReviewStatement, ...] = (
    ReviewStatement(
        "It improves on ResNet-101 and ResNet-152",
        "22.0 to 21.2 at equal cost, 20.4 at twice (tables 3, 4); the paper's tables have no ResNet-152",
        experiment="cardinality",
    ),
    ReviewStatement("By UC San Diego and Facebook AI Research", "title page"),
    ReviewStatement("The name stands for the next dimension, cardinality", "section 1"),
    ReviewStatement(
        "Raising cardinality is better than going deeper or wider",
        "at twice the cost: deeper 0.3, wider 0.7, cardinality 1.3 and 1.6 points over 22.0 (table 4)",
        experiment="cardinality_vs_depth_vs_width",
    ),
    ReviewStatement(
        "Paths of 1x1, 3x3, 1x1 of width 4, 32 of them, added with the shortcut",
        "so in the first stage; widths double with each stage (table 1). The three forms are one function",
        experiment="forms",
    ),
    ReviewStatement(
        "Two rules leave three hyper-parameters: depth, cardinality, width",
        "section 3.1; the review calls cardinality the group size, but it is the number of groups",
    ),
    ReviewStatement(
        "Split, transform, merge", "sections 3.2 and 3.3; `resnext describe NAME --figure` draws it"
    ),
    ReviewStatement(
        "Paths are added, where Inception concatenates",
        "form (b) concatenates too, and is equal; what differs is one topology for all paths (section 3.3); "
        "tested are equal paths added or concatenated, not Inception's unequal ones",
        experiment="merging",
    ),
    ReviewStatement(
        "ResNeXt-50 has an error of 22.2 %, 1.7 points below ResNet-50", "table 3", experiment="cardinality"
    ),
    ReviewStatement(
        "A lower training error too, so a stronger representation",
        "for 101 layers about 16 % against 20 % (figure 5); the review writes training rate",
        experiment="training_error",
    ),
    ReviewStatement(
        "Removing the residual connections hurts ResNet more",
        "23.9 to 31.2 against 22.2 to 26.1 (section 5.1)",
        experiment="residual",
    ),
    ReviewStatement(
        "(our question) Do these gains last as training goes on?",
        "the paper's runs were 100 epochs long, ours at `laptop` two",
        experiment="training_length",
    ),
    ReviewStatement(
        "(our question) Do they depend on depth and data?",
        "1.7 and 0.8 points (table 3), 3.2 and 2.3 among more classes (table 6)",
        experiment="depth_and_data",
    ),
    ReviewStatement(
        "On ImageNet-5K the errors fall by 3.2 and 2.3 points",
        "45.5 to 42.3 and 42.4 to 40.1, among 5,000 classes (table 6); among 1,000 by 2.7 and 2.0",
        experiment="more_classes",
    ),
    ReviewStatement(
        "(left out by the review) CIFAR: 3.65 and 17.77 %, 3.58 and 17.31 %", "table 7", experiment="cifar"
    ),
    ReviewStatement(
        "(left out by the review) COCO: 1.0 and 0.2 points of AP", "section 5.4; detection is not built here"
    ),
    ReviewStatement("(left out by the review) 19.1 % with crops of 320 px", "table 5"),
    ReviewStatement(
        "More accurate without more parameters or computation",
        "25.5 to 25.0 M, 4.1 to 4.2 G (table 1); but 1.3 times the activations",
        models=("resnet50", "resnext50_32x4d", "resnet101", "resnext101_32x4d"),
    ),
    ReviewStatement(
        "Simpler than Inception, with fewer hyper-parameters",
        "the paper's own judgement: three numbers; table 1 of GoogLeNet has 54 (Szegedy et al. 2015)",
    ),
    ReviewStatement(
        "Hungry for resources because of the extra dimension",
        "not at equal cost; grouped convolutions and more activations cost time",
        experiment="speed",
    ),
    ReviewStatement(
        "A step takes 0.95 s against ResNet-101's 0.70 s on 8 M40",
        "1.36 times (section 5.1); 1.2 to 1.7 times on later GPUs",
        experiment="speed",
    ),
    ReviewStatement(
        "(our question) What does the same error cost in time?",
        "ResNeXt-50 22.2 against ResNet-101 22.0 (table 3)",
        experiment="equal_accuracy",
    ),
    ReviewStatement(
        "Scope: blocks of several resolutions for accuracy",
        "done since: 22.61 to 21.76 (Gao et al. 2021)",
        experiment="multi_resolution",
    ),
    ReviewStatement(
        "Scope: depthwise separable convolutions for speed",
        "done since: fewer multiply-adds, often no less time, 1.2 points worse (Liu et al. 2022)",
        experiment="separable",
    ),
)
