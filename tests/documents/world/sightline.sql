BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0012');
CREATE TABLE category_counts (
	version_id INTEGER NOT NULL, 
	category VARCHAR(255) NOT NULL, 
	split VARCHAR(16) NOT NULL, 
	instances INTEGER NOT NULL, 
	images INTEGER NOT NULL, 
	CONSTRAINT pk_category_counts PRIMARY KEY (version_id, category, split), 
	CONSTRAINT fk_category_counts_version_id FOREIGN KEY(version_id) REFERENCES dataset_versions (id)
)
 WITHOUT ROWID

;
INSERT INTO "category_counts" VALUES(1,'disc','',8,8);
INSERT INTO "category_counts" VALUES(1,'square','',8,8);
INSERT INTO "category_counts" VALUES(2,'disc','test',2,2);
INSERT INTO "category_counts" VALUES(2,'disc','train',4,4);
INSERT INTO "category_counts" VALUES(2,'disc','val',2,2);
INSERT INTO "category_counts" VALUES(2,'square','test',2,2);
INSERT INTO "category_counts" VALUES(2,'square','train',4,4);
INSERT INTO "category_counts" VALUES(2,'square','val',2,2);
CREATE TABLE dataset_versions (
	id INTEGER NOT NULL, 
	dataset VARCHAR(100) NOT NULL, 
	version VARCHAR(100) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	tag VARCHAR(250) NOT NULL, 
	"commit" VARCHAR(64) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	parent_tag VARCHAR(250) NOT NULL, 
	configuration_digest VARCHAR(64) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	images INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_dataset_versions PRIMARY KEY (id), 
	CONSTRAINT uq_dataset_versions_dataset_version_kind UNIQUE (dataset, version, kind), 
	CONSTRAINT uq_dataset_versions_tag UNIQUE (tag)
);
INSERT INTO "dataset_versions" VALUES(1,'shapes','v1','annotations','shapes_ann_v1','cbcff37c02bf53555f2890acd34cad75ccb98846','64d2a48b3917b0781123efa5b45e34e9.dir','','','published',8,'2026-11-28 11:04:59.053723');
INSERT INTO "dataset_versions" VALUES(2,'shapes','v1','training','shapes_train_v1','444b6c8727198943793dd44ee5e7ed398afba78f','7af986df1df9148a0ce6ceae5631714f.dir','shapes_ann_v1','37dccc2e5d98710afe2808fe52651974eab1e30ba154c7f2a189a6aa52bb15cb','published',8,'2026-11-28 11:04:59.077626');
CREATE TABLE images (
	version_id INTEGER NOT NULL, 
	path_sha256 VARCHAR(64) NOT NULL, 
	path VARCHAR(1024) NOT NULL, 
	split VARCHAR(16) NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	width INTEGER NOT NULL, 
	height INTEGER NOT NULL, 
	group_name VARCHAR(255) NOT NULL, 
	CONSTRAINT pk_images PRIMARY KEY (version_id, path_sha256), 
	CONSTRAINT fk_images_version_id FOREIGN KEY(version_id) REFERENCES dataset_versions (id)
)
 WITHOUT ROWID

;
INSERT INTO "images" VALUES(1,'1ae24c6f88488086dfb6a080473f1a619a33324e8f6ea43e2e2e9d205e8528ab','annotations/shapes/2.png','','1a9ae05101d8bffbf3e7a9ad6eb1e502808cbe8d5ef0c070a4e21553bcede397',9370,80,60,'1a9ae05101d8bffbf3e7a9ad6eb1e502808cbe8d5ef0c070a4e21553bcede397');
INSERT INTO "images" VALUES(1,'4f1d65de27f7f424b8aef460c028ae5684706e384c402c50b4a45ef7406b69ae','annotations/shapes/1.png','','404179d50630362da10c28853d0ba413db0f9b77b2aa78d45a94f93f42c53e91',8951,80,60,'404179d50630362da10c28853d0ba413db0f9b77b2aa78d45a94f93f42c53e91');
INSERT INTO "images" VALUES(1,'53afc052b475512ffc74c0fcd5c6cd931f3c12b96bac6ca202e80604d8323037','annotations/shapes/5.png','','3d5d10d575cf270101b9d3aa3f0c06433cad814637b44221b0602e875c46cdbb',9109,80,60,'3d5d10d575cf270101b9d3aa3f0c06433cad814637b44221b0602e875c46cdbb');
INSERT INTO "images" VALUES(1,'9634055bf777164396a76f05a0e47f6574adca0930e51ff06d28bedcff6df07b','annotations/shapes/4.png','','551cede55808ed119fd10b3b85d83983bc6337cda37bcdc21f375f066f8660a8',8867,80,60,'551cede55808ed119fd10b3b85d83983bc6337cda37bcdc21f375f066f8660a8');
INSERT INTO "images" VALUES(1,'c09c47741c11ae586d9168a7502c2f87f80038115556a327fde198b94b75350d','annotations/shapes/7.png','','9bc78e6572b550ac188fd50294b1a813b7707a1e3622538ae98b3f53f5fe456e',9032,80,60,'9bc78e6572b550ac188fd50294b1a813b7707a1e3622538ae98b3f53f5fe456e');
INSERT INTO "images" VALUES(1,'c44420ef24c653117b5fbb232b4acfd0f99a7e394ea720bdbde5a956780acb65','annotations/shapes/3.png','','b7dd5276fb8a3add0ae9ae5a66aefd37eae7c16b6115733dea13f2b4c9e0a092',9592,80,60,'b7dd5276fb8a3add0ae9ae5a66aefd37eae7c16b6115733dea13f2b4c9e0a092');
INSERT INTO "images" VALUES(1,'cbb9b32e630c07485bcf1281dd5405e5c1a2edb148bd2cc28a3e7c901b8a8c91','annotations/shapes/6.png','','69a93b9cffcdb06967cc3b129cdf2540d04b944a1d5ae3e85b7c3bfda8e4504b',9186,80,60,'69a93b9cffcdb06967cc3b129cdf2540d04b944a1d5ae3e85b7c3bfda8e4504b');
INSERT INTO "images" VALUES(1,'e36934989cc4d3a9c161782f70fb9d4bcc54663a04a098c906d8b9aa93b6ed28','annotations/shapes/0.png','','3fb61da833caaa3043b9a28321a03d71be337e3c87e72bab071caa81c4973814',9734,80,60,'3fb61da833caaa3043b9a28321a03d71be337e3c87e72bab071caa81c4973814');
INSERT INTO "images" VALUES(2,'1ae24c6f88488086dfb6a080473f1a619a33324e8f6ea43e2e2e9d205e8528ab','annotations/shapes/2.png','val','1a9ae05101d8bffbf3e7a9ad6eb1e502808cbe8d5ef0c070a4e21553bcede397',9370,80,60,'1a9ae05101d8bffbf3e7a9ad6eb1e502808cbe8d5ef0c070a4e21553bcede397');
INSERT INTO "images" VALUES(2,'4f1d65de27f7f424b8aef460c028ae5684706e384c402c50b4a45ef7406b69ae','annotations/shapes/1.png','train','404179d50630362da10c28853d0ba413db0f9b77b2aa78d45a94f93f42c53e91',8951,80,60,'404179d50630362da10c28853d0ba413db0f9b77b2aa78d45a94f93f42c53e91');
INSERT INTO "images" VALUES(2,'53afc052b475512ffc74c0fcd5c6cd931f3c12b96bac6ca202e80604d8323037','annotations/shapes/5.png','test','3d5d10d575cf270101b9d3aa3f0c06433cad814637b44221b0602e875c46cdbb',9109,80,60,'3d5d10d575cf270101b9d3aa3f0c06433cad814637b44221b0602e875c46cdbb');
INSERT INTO "images" VALUES(2,'9634055bf777164396a76f05a0e47f6574adca0930e51ff06d28bedcff6df07b','annotations/shapes/4.png','train','551cede55808ed119fd10b3b85d83983bc6337cda37bcdc21f375f066f8660a8',8867,80,60,'551cede55808ed119fd10b3b85d83983bc6337cda37bcdc21f375f066f8660a8');
INSERT INTO "images" VALUES(2,'c09c47741c11ae586d9168a7502c2f87f80038115556a327fde198b94b75350d','annotations/shapes/7.png','test','9bc78e6572b550ac188fd50294b1a813b7707a1e3622538ae98b3f53f5fe456e',9032,80,60,'9bc78e6572b550ac188fd50294b1a813b7707a1e3622538ae98b3f53f5fe456e');
INSERT INTO "images" VALUES(2,'c44420ef24c653117b5fbb232b4acfd0f99a7e394ea720bdbde5a956780acb65','annotations/shapes/3.png','train','b7dd5276fb8a3add0ae9ae5a66aefd37eae7c16b6115733dea13f2b4c9e0a092',9592,80,60,'b7dd5276fb8a3add0ae9ae5a66aefd37eae7c16b6115733dea13f2b4c9e0a092');
INSERT INTO "images" VALUES(2,'cbb9b32e630c07485bcf1281dd5405e5c1a2edb148bd2cc28a3e7c901b8a8c91','annotations/shapes/6.png','val','69a93b9cffcdb06967cc3b129cdf2540d04b944a1d5ae3e85b7c3bfda8e4504b',9186,80,60,'69a93b9cffcdb06967cc3b129cdf2540d04b944a1d5ae3e85b7c3bfda8e4504b');
INSERT INTO "images" VALUES(2,'e36934989cc4d3a9c161782f70fb9d4bcc54663a04a098c906d8b9aa93b6ed28','annotations/shapes/0.png','train','3fb61da833caaa3043b9a28321a03d71be337e3c87e72bab071caa81c4973814',9734,80,60,'3fb61da833caaa3043b9a28321a03d71be337e3c87e72bab071caa81c4973814');
CREATE TABLE metrics (
	model_id INTEGER NOT NULL, 
	dataset_tag VARCHAR(250) NOT NULL, 
	split VARCHAR(16) NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	value DOUBLE NOT NULL, 
	CONSTRAINT pk_metrics PRIMARY KEY (model_id, dataset_tag, split, name), 
	CONSTRAINT fk_metrics_model_id FOREIGN KEY(model_id) REFERENCES models (id)
)
 WITHOUT ROWID

;
INSERT INTO "metrics" VALUES(1,'shapes_train_v1','test','box_AP',0.0);
INSERT INTO "metrics" VALUES(1,'shapes_train_v1','test','box_AP50',0.0);
INSERT INTO "metrics" VALUES(1,'shapes_train_v1','test','box_AP75',0.0);
INSERT INTO "metrics" VALUES(1,'shapes_train_v1','test','box_AP_small',0.0);
INSERT INTO "metrics" VALUES(1,'shapes_train_v1','test','dv_mAP',0.0);
INSERT INTO "metrics" VALUES(1,'shapes_train_v1','test','mask_AP',0.0);
INSERT INTO "metrics" VALUES(1,'shapes_train_v1','test','mask_AP50',0.0);
INSERT INTO "metrics" VALUES(1,'shapes_train_v1','test','mask_AP75',0.0);
INSERT INTO "metrics" VALUES(1,'shapes_train_v1','test','mask_AP_small',0.0);
INSERT INTO "metrics" VALUES(1,'shapes_train_v1','val','box_AP',0.0);
INSERT INTO "metrics" VALUES(1,'shapes_train_v1','val','box_AP50',0.0);
INSERT INTO "metrics" VALUES(1,'shapes_train_v1','val','box_AP75',0.0);
INSERT INTO "metrics" VALUES(1,'shapes_train_v1','val','box_AP_small',0.0);
INSERT INTO "metrics" VALUES(1,'shapes_train_v1','val','dv_mAP',0.0);
INSERT INTO "metrics" VALUES(1,'shapes_train_v1','val','mask_AP',0.0);
INSERT INTO "metrics" VALUES(1,'shapes_train_v1','val','mask_AP50',0.0);
INSERT INTO "metrics" VALUES(1,'shapes_train_v1','val','mask_AP75',0.0);
INSERT INTO "metrics" VALUES(1,'shapes_train_v1','val','mask_AP_small',0.0);
CREATE TABLE models (
	id INTEGER NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	uri VARCHAR(1024) NOT NULL, 
	task VARCHAR(64) NOT NULL, 
	training_tag VARCHAR(250) NOT NULL, 
	run_id VARCHAR(100), 
	code_rev VARCHAR(100) NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_models PRIMARY KEY (id), 
	CONSTRAINT uq_models_sha256 UNIQUE (sha256)
);
INSERT INTO "models" VALUES(1,'7f86e2e7f32dba4e4db6bc74ac0b867524b1f2f3b1cf82e6a9d3efcacf029f88','file://@WORLD@/bucket/results/train/shapes_train_v1/d61576cf85740d08/ff03c0fa81fd0f7e/best.safetensors','instance_segmentation','shapes_train_v1','20261128-110450-f500','0.1.0-a390faf6f647','2026-11-28 11:05:01.338110');
CREATE TABLE "promotions" (
	id INTEGER NOT NULL, 
	dataset VARCHAR(100) NOT NULL, 
	metric VARCHAR(100) NOT NULL, 
	sequence INTEGER NOT NULL, 
	model_id INTEGER NOT NULL, 
	previous_model_id INTEGER, 
	value DOUBLE NOT NULL, 
	previous_value DOUBLE, 
	run_id VARCHAR(100) NOT NULL, 
	promoted_at DATETIME NOT NULL, 
	task VARCHAR(64) DEFAULT 'instance_segmentation' NOT NULL, 
	CONSTRAINT pk_promotions PRIMARY KEY (id), 
	CONSTRAINT fk_promotions_model_id FOREIGN KEY(model_id) REFERENCES models (id), 
	CONSTRAINT fk_promotions_previous_model_id FOREIGN KEY(previous_model_id) REFERENCES models (id), 
	CONSTRAINT uq_promotions_task_dataset_metric_sequence UNIQUE (task, dataset, metric, sequence)
);
INSERT INTO "promotions" VALUES(1,'shapes','mask_AP',1,1,NULL,0.0,NULL,'20261128-110450-f500','2026-11-28 11:05:03.464381','instance_segmentation');
CREATE TABLE run_models (
	run_id VARCHAR(100) NOT NULL, 
	model_id INTEGER NOT NULL, 
	role VARCHAR(32) NOT NULL, 
	metric VARCHAR(100) NOT NULL, 
	CONSTRAINT pk_run_models PRIMARY KEY (run_id, model_id, role, metric), 
	CONSTRAINT fk_run_models_model_id FOREIGN KEY(model_id) REFERENCES models (id)
)
 WITHOUT ROWID

;
INSERT INTO "run_models" VALUES('20261128-110450-f500',1,'best','');
INSERT INTO "run_models" VALUES('20261128-110450-f500',1,'proposed','mask_AP');
INSERT INTO "run_models" VALUES('20261128-110450-f500',1,'selected','mask_AP');
INSERT INTO "run_models" VALUES('20261128-110450-f500',1,'tested','');
CREATE TABLE runs (
	id INTEGER NOT NULL, 
	run_id VARCHAR(100) NOT NULL, 
	recipe VARCHAR(100) NOT NULL, 
	configuration TEXT NOT NULL, 
	configuration_digest VARCHAR(64) NOT NULL, 
	dataset_tag VARCHAR(250) NOT NULL, 
	code_rev VARCHAR(100) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	started_at DATETIME NOT NULL, 
	finished_at DATETIME, 
	message TEXT NOT NULL, 
	CONSTRAINT pk_runs PRIMARY KEY (id), 
	CONSTRAINT uq_runs_run_id UNIQUE (run_id)
);
INSERT INTO "runs" VALUES(1,'20261128-110450-f500','instance_segmentation','{"data": {"aliases": {}, "classes": ["square", "disc"], "faults": {"broken_image": "error", "broken_json": "error", "duplicate_image": "error", "duplicate_shape": "drop", "embedded_differs": "embedded", "missing_image": "error", "not_finite": "error", "outside_image": "clip", "unknown_label": "error", "unknown_shape": "error", "unsafe_path": "error", "unsupported_shape": "drop", "wrong_image_size": "error", "zero_area": "drop"}, "group_pattern": "", "ignored_labels": [], "jobs": 2, "max_pixels": 50000000, "near_duplicate_distance": 0, "near_duplicates": true, "repository": "@WORLD@/data", "splits": {"test": 0.25, "train": 0.5, "val": 0.25}, "tag": "shapes_ann_v1", "timeout_seconds": 3600.0}, "database": {"url": "sqlite:///@WORLD@/sightline.sqlite"}, "evaluate": {"drawn_images": 1, "min_improvement": 0.0, "minimum": 0.0, "replace_unreadable": false, "score_threshold": 0.5, "select_by": ["mask_AP"]}, "model": {"anchor_ratios": [0.5, 1.0, 2.0], "anchor_sizes": [8, 16, 32, 64], "backbone": "timm:test_resnet", "fpn_channels": 16, "head_channels": 32, "image_size": 64, "mask_channels": 16, "mask_layers": 4, "max_detections": 100, "nms_iou": 0.5, "positive_share": 0.25, "proposals": 40, "sampled_proposals": 16, "score_threshold": 0.05, "weights": ""}, "reading": "none", "recipe": "instance_segmentation", "seed": 0, "storage": {"uri": "@WORLD@/bucket"}, "task": "instance_segmentation", "test": {"images": "", "score_threshold": 0.5}, "train": {"augmentation": {"brightness": 0.2, "contrast": 0.2, "flip": 0.5, "scale": 0.3}, "batch_size": 2, "best_metric": "mask_AP", "checkpoint_every": 2, "clip_norm": 1.0, "device": "cpu", "iterations": 2, "learning_rate": 0.002, "log_every": 2, "trackers": ["text", "tensorboard"], "validate_every": 3, "warmup_iterations": 2, "weight_decay": 0.05, "workers": 0}, "work": {"dir": "@WORLD@/work", "lock_timeout_seconds": 21600.0}}','5ab26823ce6c181acb0194b95c48b1cd9093e4ee2d0653e4d0f4bc42c239a3a1','shapes_ann_v1','0.1.0-a390faf6f647','succeeded','2026-11-28 11:04:50.557147','2026-11-28 11:05:04.854278','');
CREATE TABLE split_counts (
	version_id INTEGER NOT NULL, 
	split VARCHAR(16) NOT NULL, 
	images INTEGER NOT NULL, 
	CONSTRAINT pk_split_counts PRIMARY KEY (version_id, split), 
	CONSTRAINT fk_split_counts_version_id FOREIGN KEY(version_id) REFERENCES dataset_versions (id)
)
 WITHOUT ROWID

;
INSERT INTO "split_counts" VALUES(1,'',8);
INSERT INTO "split_counts" VALUES(2,'test',2);
INSERT INTO "split_counts" VALUES(2,'train',4);
INSERT INTO "split_counts" VALUES(2,'val',2);
CREATE INDEX ix_dataset_versions_parent_tag ON dataset_versions (parent_tag);
CREATE INDEX ix_runs_dataset_tag ON runs (dataset_tag);
CREATE INDEX ix_models_training_tag ON models (training_tag);
CREATE INDEX ix_models_run_id ON models (run_id);
CREATE INDEX ix_models_uri ON models (uri);
CREATE INDEX ix_run_models_model_id ON run_models (model_id);
CREATE INDEX ix_metrics_dataset_tag ON metrics (dataset_tag);
CREATE INDEX ix_promotions_previous_model_id ON promotions (previous_model_id);
CREATE INDEX ix_promotions_model_id ON promotions (model_id);
CREATE INDEX ix_promotions_run_id ON promotions (run_id);
COMMIT;
