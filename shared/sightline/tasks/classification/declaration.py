"""The declaration of classification for configuration, checks and pages, without torch."""

from __future__ import annotations

from sightline.config.task_declarations import Metric, TaskDeclaration

DECLARATION = TaskDeclaration(
    settings="sightline.tasks.classification.settings:TimmClassifier",
    validation_metrics=(
        Metric("accuracy", "share of images with the right classes, mean over label sets", place=10, headline=True),
        Metric("joint_accuracy", "share of images that are right in all label sets", place=11, headline=True),
        Metric("f1_macro", "F1 of the classes, their plain mean, mean over label sets", place=12),
        Metric("auroc", "area under the ROC curve of the classes, their plain mean, mean over label sets"),
    ),
    evaluation_metrics=(
        Metric("precision_macro", "precision of the classes, their plain mean, mean over label sets"),
        Metric("recall_macro", "recall of the classes, their plain mean, mean over label sets"),
        Metric("f1_micro", "F1 of all decisions together, mean over label sets"),
        Metric("f1_weighted", "F1 of the classes, weighted by their images, mean over label sets"),
        Metric("average_precision", "average precision of the classes, their plain mean, mean over label sets"),
    ),
    main_metric="accuracy",
    families={
        "timm": "sightline.tasks.classification.settings:TimmClassifier",
        "cnn": "sightline.tasks.classification.settings:Cnn",
        "tiny_vgg": "sightline.tasks.classification.settings:TinyVgg",
        "poster": "sightline.tasks.classification.settings:Poster",
    },
    check="sightline.tasks.classification.check:check_classifier",
    needs="image_labels",
    scored=False,
)
"""Metrics of each label set by itself, such as ``accuracy/mask``, are computed too, but select no models: their names
depend on the dataset.  ``calibration_error`` selects none either, because lower is better."""
