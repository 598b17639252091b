//! The `OpenAPI` document, made from [`Endpoint`] and from the types that are really read and
//! written.

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::brief::{Brief, BriefQuery, BriefRead};
use crate::control::{
    API_NUMBER, Applied, Apply, Command, DamageQuery, DeleteTaskQuery, Deleted, EventsQuery,
    ListQuery, ObjectView, OpenBody, Opened, Patch, PatchQuery, PauseAll, PausedAll, Refusal,
    ServerInfo, Submit, Submitted, TaskPage, TaskView,
};
use crate::endpoint::Endpoint;
use crate::gc::{CollectOrder, Collection};
use crate::kind::Kind;
use crate::task::TaskOrder;
use crate::view::{ProgressLine, ResultLine};

/// Where the document refers its types to.
const SCHEMAS: &str = "/components/schemas";

/// The whole document.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = SCHEMAS.into();
        settings.meta_schema = None;
    });
    let mut types = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in Endpoint::ALL {
        let described = operation(endpoint, &mut types);
        let methods = paths.entry(endpoint.path()).or_insert_with(|| json!({}));
        methods[endpoint.method().as_str().to_lowercase()] = described;
    }
    let schemas = types.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Midwatch's local server",
            "version": API_NUMBER.to_string(),
            "description": "Spoken on the unix socket `server.sock` of the state folder, which \
                only its owner and root may connect to.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "http://midwatch", "description": "the Host header to send"}],
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

fn operation(endpoint: Endpoint, types: &mut SchemaGenerator) -> Value {
    let parts = parts(endpoint, types);
    let mut parameters: Vec<Value> = in_path(endpoint, types);
    parameters.extend(parts.query.map(|schema| in_query(&schema)).unwrap_or_default());
    let refusal = json!({"application/json": {"schema": types.subschema_for::<Refusal>()}});
    let mut operation = json!({
        "operationId": format!("{endpoint:?}"),
        "summary": endpoint.summary(),
        "parameters": parameters,
        "responses": {
            "200": {"description": "done", "content": parts.answer},
            "4XX": {"description": "refused: what is wrong, and what to do", "content": refusal},
            "5XX": {"description": "our own fault, or the server is about to end", "content": refusal},
        },
    });
    if let Some(body) = parts.body {
        operation["requestBody"] =
            json!({"required": true, "content": {"application/json": {"schema": body}}});
    }
    operation
}

/// What an operation reads and writes.
struct Parts {
    query: Option<Schema>,
    body: Option<Schema>,
    answer: Value,
}

fn parts(endpoint: Endpoint, types: &mut SchemaGenerator) -> Parts {
    let none = Parts { query: None, body: None, answer: json!({}) };
    match endpoint {
        Endpoint::Server => told::<ServerInfo>(types),
        Endpoint::OpenApi => {
            Parts { answer: json!({"application/json": {"schema": {"type": "object"}}}), ..none }
        }
        Endpoint::Shutdown => told::<()>(types),
        Endpoint::ListTasks => {
            Parts { query: Some(query::<ListQuery>(types)), ..told::<TaskPage>(types) }
        }
        Endpoint::Submit => {
            Parts { body: Some(types.subschema_for::<Submit>()), ..told::<Submitted>(types) }
        }
        Endpoint::GetTask => told::<TaskView>(types),
        Endpoint::DeleteTask => {
            Parts { query: Some(query::<DeleteTaskQuery>(types)), ..told::<Deleted>(types) }
        }
        Endpoint::GetOrder => told::<TaskOrder>(types),
        Endpoint::Events => {
            let line = json!({"anyOf": [
                types.subschema_for::<ProgressLine>(),
                types.subschema_for::<ResultLine>(),
            ]});
            Parts {
                query: Some(query::<EventsQuery>(types)),
                answer: json!({"application/x-ndjson": {"schema": line}}),
                ..none
            }
        }
        Endpoint::Command => {
            Parts { body: Some(types.subschema_for::<Command>()), ..told::<()>(types) }
        }
        Endpoint::Damage => {
            Parts { query: Some(query::<DamageQuery>(types)), ..told::<Vec<String>>(types) }
        }
        Endpoint::Kill => told::<Vec<String>>(types),
        Endpoint::Patch => {
            Parts { query: Some(query::<PatchQuery>(types)), ..told::<Patch>(types) }
        }
        Endpoint::Open => {
            Parts { body: Some(types.subschema_for::<OpenBody>()), ..told::<Opened>(types) }
        }
        Endpoint::Apply => {
            Parts { body: Some(types.subschema_for::<Apply>()), ..told::<Applied>(types) }
        }
        Endpoint::ListObjects => told::<Vec<ObjectView>>(types),
        Endpoint::GetObject => told::<ObjectView>(types),
        Endpoint::DeleteObject => told::<Deleted>(types),
        Endpoint::Brief => {
            Parts { query: Some(query::<BriefQuery>(types)), ..told::<Brief>(types) }
        }
        Endpoint::BriefRead => {
            Parts { body: Some(types.subschema_for::<BriefRead>()), ..told::<()>(types) }
        }
        Endpoint::Pause => {
            Parts { body: Some(types.subschema_for::<PauseAll>()), ..told::<PausedAll>(types) }
        }
        Endpoint::Collect => {
            Parts { body: Some(types.subschema_for::<CollectOrder>()), ..told::<Collection>(types) }
        }
    }
}

fn told<T: JsonSchema>(types: &mut SchemaGenerator) -> Parts {
    let schema = types.subschema_for::<T>();
    Parts { query: None, body: None, answer: json!({"application/json": {"schema": schema}}) }
}

/// A query's own schema: it becomes parameters and is referred to by nothing.
fn query<T: JsonSchema>(types: &mut SchemaGenerator) -> Schema {
    T::json_schema(types)
}

fn in_query(schema: &Schema) -> Vec<Value> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let parameter = |(name, schema): (&String, &Value)| {
        let mut schema = schema.clone();
        let said = schema.as_object_mut().and_then(|fields| fields.remove("description"));
        json!({
            "name": name, "in": "query", "required": false, "schema": schema,
            "description": said.unwrap_or_default(),
        })
    };
    properties.map(|fields| fields.iter().map(parameter).collect()).unwrap_or_default()
}

fn in_path(endpoint: Endpoint, types: &mut SchemaGenerator) -> Vec<Value> {
    let named = endpoint.path().split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        let schema = match name {
            "kind" => types.subschema_for::<Kind>(),
            _ => types.subschema_for::<String>(),
        };
        Some(json!({"name": name, "in": "path", "required": true, "schema": schema}))
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `$ref` below a value.
    fn refs<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| refs(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| refs(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_endpoint_is_described_and_nothing_else() {
        let document = document();
        let paths = document["paths"].as_object().unwrap();
        let described: usize =
            paths.values().map(|methods| methods.as_object().unwrap().len()).sum();
        assert_eq!(described, Endpoint::ALL.len());
        for endpoint in Endpoint::ALL {
            let method = endpoint.method().as_str().to_lowercase();
            let operation = &document["paths"][endpoint.path()][method];
            assert_eq!(operation["summary"], endpoint.summary(), "{endpoint:?}");
            assert!(operation["responses"]["200"].is_object(), "{endpoint:?}");
            assert!(operation["responses"]["4XX"].is_object(), "{endpoint:?}");
        }
    }

    #[test]
    fn every_reference_leads_to_a_schema() {
        let document = document();
        let mut found = Vec::new();
        refs(&document, &mut found);
        assert!(found.len() > 20, "{found:?}");
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }
}
