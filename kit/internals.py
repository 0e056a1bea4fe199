"""Every name of Metaflow's that is not in its documentation, in one list.

The rest of kit asks this module for them, so that a new Metaflow release is checked in one place:
`tests/test_internals.py` says which of them it has moved. Importing this module does not import Metaflow;
asking for a name does.
"""

from __future__ import annotations

import importlib
from typing import Any

# name here -> (module of Metaflow's, name there; "" for the module itself)
NAMES: dict[str, tuple[str, str]] = {
    "CardComponentCollector": ("metaflow.plugins.cards.component_serializer", "CardComponentCollector"),
    "CardCreator": ("metaflow.plugins.cards.card_creator", "CardCreator"),
    "CardDecorator": ("metaflow.plugins.cards.card_decorator", "CardDecorator"),
    "ConfigInput": ("metaflow.user_configs.config_options", "ConfigInput"),
    "ConfigValue": ("metaflow.user_configs.config_parameters", "ConfigValue"),
    "Current": ("metaflow.metaflow_current", "Current"),
    "DATASTORES": ("metaflow.plugins", "DATASTORES"),
    "DataException": ("metaflow.datastore.exceptions", "DataException"),
    "DataStoreStorage": ("metaflow.datastore.datastore_storage", "DataStoreStorage"),
    "CloseAfterUse": ("metaflow.datastore.datastore_storage", "CloseAfterUse"),
    "ExecutionPhase": ("metaflow.system_context", "ExecutionPhase"),
    "FlowDataStore": ("metaflow.datastore.flow_datastore", "FlowDataStore"),
    "FlowMutatorMeta": ("metaflow.user_decorators.user_flow_decorator", "FlowMutatorMeta"),
    "FlowMutator": ("metaflow.user_decorators.user_flow_decorator", "FlowMutator"),
    "FlowStateItems": ("metaflow.flowspec", "FlowStateItems"),
    "ForeachFrame": ("metaflow.tuple_util", "ForeachFrame"),
    "IncludedFile": ("metaflow.includefile", "IncludedFile"),
    "IncludeFile": ("metaflow.includefile", "IncludeFile"),
    "LOGGING_SIDECARS": ("metaflow.plugins", "LOGGING_SIDECARS"),
    "LocalMetadataProvider": ("metaflow.plugins.metadata_providers.local", "LocalMetadataProvider"),
    "LocalStorage": ("metaflow.plugins.datastores.local_storage", "LocalStorage"),
    "METADATA_PROVIDERS": ("metaflow.plugins", "METADATA_PROVIDERS"),
    "MONITOR_SIDECARS": ("metaflow.plugins", "MONITOR_SIDECARS"),
    "MetaflowEnvironment": ("metaflow.metaflow_environment", "MetaflowEnvironment"),
    "LOG_SOURCES": ("metaflow.mflog", "LOG_SOURCES"),
    "MetaflowException": ("metaflow.exception", "MetaflowException"),
    "MetaflowExceptionWrapper": ("metaflow.exception", "MetaflowExceptionWrapper"),
    "MetaflowInternalError": ("metaflow.exception", "MetaflowInternalError"),
    "MetaflowTask": ("metaflow.task", "MetaflowTask"),
    "ParallelUBF": ("metaflow.flowspec", "ParallelUBF"),
    "STEP_DECORATORS": ("metaflow.plugins", "STEP_DECORATORS"),
    "SerializationFormat": ("metaflow.datastore.artifacts", "SerializationFormat"),
    "SerializerStore": ("metaflow.datastore.artifacts", "SerializerStore"),
    "StepDecorator": ("metaflow.decorators", "StepDecorator"),
    "TaskDataStore": ("metaflow.datastore.task_datastore", "TaskDataStore"),
    "card_cli": ("metaflow.plugins.cards.card_cli", ""),
    "card_exceptions": ("metaflow.plugins.cards.exception", ""),
    "UnpicklableArtifactException": ("metaflow.datastore.exceptions", "UnpicklableArtifactException"),
    "UserStepDecoratorMeta": ("metaflow.user_decorators.user_step_decorator", "UserStepDecoratorMeta"),
    "cli": ("metaflow.cli", ""),
    "click": ("metaflow._vendor.click", ""),
    "client_core": ("metaflow.client.core", ""),
    "config": ("metaflow.metaflow_config", ""),
    "current": ("metaflow.metaflow_current", "current"),
    "decorators": ("metaflow.decorators", ""),
    "echo_dev_null": ("metaflow.cli", "echo_dev_null"),
    "get_card_class": ("metaflow.plugins.cards.component_serializer", "get_card_class"),
    "logger": ("metaflow.cli", "logger"),
    "mflog": ("metaflow.mflog.mflog", ""),
    "parallel_decorator": ("metaflow.plugins.parallel_decorator", ""),
    "parameters": ("metaflow.parameters", ""),
    "resolve_delayed_evaluator": ("metaflow.user_configs.config_parameters", "resolve_delayed_evaluator"),
    "resolve_identity": ("metaflow.util", "resolve_identity"),
    "s3": ("metaflow.plugins.datatools.s3.s3", ""),
    "system": ("metaflow.system", ""),
    "system_context": ("metaflow.system_context", "system_context"),
    "tuple_util": ("metaflow.tuple_util", ""),
    "unpack_delayed_evaluator": ("metaflow.user_configs.config_parameters", "unpack_delayed_evaluator"),
}

# Methods and attributes of the above that kit calls or overrides.
MEMBERS: dict[str, tuple[str, ...]] = {
    "CardComponentCollector": ("_serialize_components", "_get_latest_data"),
    "CardCreator": ("create",),
    "CardDecorator": (
        *("task_finished", "total_decos_on_step", "step_counter", "_called_once", "card_creator"),
        "_set_config_file_name",
    ),
    "card_cli": ("update_card",),
    "card_exceptions": ("CardClassFoundException", "IncorrectCardArgsException", "UnrenderableCardException"),
    "ConfigInput": ("_call_parser",),
    "DataStoreStorage": ("list_content", "load_bytes", "is_file", "path_join", "full_uri"),
    "FlowDataStore": ("get_task_datastores", "get_task_datastore", "datastore_root"),
    "FlowMutatorMeta": ("_all_registered_decorators", "_do_not_register"),
    "IncludedFile": ("decode",),
    "LocalMetadataProvider": ("get_object", "compute_info", "metadata_str"),
    "MetaflowTask": ("run_step", "_exec_step_function", "_init_data", "_init_parameters"),
    "StepDecorator": ("extract_args_kwargs_from_decorator_spec", "parse_decorator_spec"),
    "TaskDataStore": ("load_artifacts", "load_logs", "done", "persist", "passdown_partial"),
    "UserStepDecoratorMeta": ("_all_registered_decorators", "_do_not_register"),
    "cli": ("main",),
    "click": ("BOOL", "BadParameter", "Command", "Context", "MissingParameter", "Option"),
    "client_core": ("current_metadata", "current_namespace"),
    "config": ("DEFAULT_DATASTORE", "DEFAULT_METADATA", "DATASTORE_SYSROOT_LOCAL", "MAX_ATTEMPTS"),
    "current": ("_set_env", "_update_env"),
    "decorators": ("_init_flow_decorators", "_init_step_decorators"),
    "mflog": ("merge_logs",),
    "parallel_decorator": ("_local_multinode_control_task_step_func",),
    "parameters": ("Parameter", "ParameterContext", "flow_context", "set_parameter_context"),
    "s3": ("S3GetObject", "S3PutObject", "RangeInfo"),
    "system": ("_system_logger", "_system_monitor"),
    "system_context": ("_update",),
    "tuple_util": ("ForeachFrame",),
}


def __getattr__(name: str) -> Any:
    try:
        module_name, attribute = NAMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    module = importlib.import_module(module_name)
    value = getattr(module, attribute) if attribute else module
    globals()[name] = value
    return value
