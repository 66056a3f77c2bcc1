//! One endpoint: its handler, and what the document says of it. Both come from the handler's own types, so that they
//! cannot say different things.

use std::{collections::BTreeMap, future::Future, marker::PhantomData};

use axum::{
    Json,
    body::Body as HttpBody,
    extract::{FromRequestParts, Path, Request, State},
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter, on},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use utoipa::{ToSchema, openapi};

use super::{
    auth::Caller,
    input,
    refusal::{Refusal, Result},
};
use crate::{
    error::Error,
    model::id::{AccessTokenId, ChainId, ChannelId, KeyId, NoticeTargetId, RequestId, SessionId, TokenId},
    pool::input::Faults,
    web::Site,
};

/// The largest body: room for a channel with thousands of models, or some ten thousand pasted keys.
const MAX_BODY_BYTES: usize = 4 << 20;

/// Schemas by name, as the document keeps them.
pub type Schemas = BTreeMap<String, Value>;

/// A request that has passed every check of its shape: `P` from its path, `Q` from its query, `B` from its body.
pub struct Asked<P = (), Q = (), B = ()> {
    /// Everything that handlers work with.
    pub site: Site,
    /// Who asks.
    pub caller: Caller,
    /// The request's headers, without credentials.
    pub headers: HeaderMap,
    /// What the path names.
    pub path: P,
    /// The query.
    pub query: Q,
    /// The body.
    pub body: B,
}

/// What a path names: nothing, or one id.
pub trait PathPart: Sized + Send + 'static {
    /// The parameter's type, if there is one: a schema.
    fn schema() -> Option<Value>;
    /// Reads the parameter; what cannot be an id is not found.
    fn read(text: Option<&str>) -> Result<Self>;
}

impl PathPart for () {
    fn schema() -> Option<Value> {
        None
    }

    fn read(_: Option<&str>) -> Result<Self> {
        Ok(())
    }
}

macro_rules! ids_in_paths {
    ($($id:ty: $schema:expr),* $(,)?) => {$(
        impl PathPart for $id {
            fn schema() -> Option<Value> {
                Some($schema)
            }

            fn read(text: Option<&str>) -> Result<Self> {
                text.and_then(|text| text.parse().ok()).ok_or_else(|| Error::NotFound.into())
            }
        }
    )*};
}

ids_in_paths! {
    ChannelId: json!({"type": "integer", "format": "int64"}),
    KeyId: json!({"type": "integer", "format": "int64"}),
    ChainId: json!({"type": "integer", "format": "int64"}),
    TokenId: json!({"type": "integer", "format": "int64"}),
    SessionId: json!({"type": "integer", "format": "int64"}),
    NoticeTargetId: json!({"type": "integer", "format": "int64"}),
    AccessTokenId: json!({"type": "integer", "format": "int64"}),
    RequestId: json!({"type": "string", "format": "uuid"}),
}

/// What a query holds.
pub trait QueryPart: Sized + Send + 'static {
    /// The schema of an object with a property per parameter.
    fn schema(schemas: &mut Schemas) -> Option<Value>;
    /// Reads the parameters.
    fn read(query: &str) -> Result<Self, Faults>;
}

impl QueryPart for () {
    fn schema(_: &mut Schemas) -> Option<Value> {
        None
    }

    fn read(query: &str) -> Result<Self, Faults> {
        input::read::<Nothing>(query_object(query, &Value::Null)).map(|_| ())
    }
}

/// Parameters of a query, as fields of `T`.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + ToSchema + Send + 'static> QueryPart for Query<T> {
    fn schema(schemas: &mut Schemas) -> Option<Value> {
        let own = add_schema::<T>(schemas);
        // A query is no body: its parameters stand in the operation.
        let schema = schemas.get(&own).cloned();
        schemas.remove(&own);
        schema
    }

    fn read(query: &str) -> Result<Self, Faults> {
        let schema = plain(&T::schema());
        input::read(query_object(query, &schema)).map(Query)
    }
}

/// A query as an object: each parameter in the type that its schema names, so that `limit=5` is a number.
fn query_object(query: &str, schema: &Value) -> Value {
    let mut object = Map::new();
    for (name, text) in form_urlencoded::parse(query.as_bytes()) {
        let types = &schema["properties"][&*name]["type"];
        let is = |wanted: &str| {
            types == wanted || types.as_array().is_some_and(|types| types.iter().any(|known| known == wanted))
        };
        let text = text.into_owned();
        if is("array") {
            let list = object.entry(name.into_owned()).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(list) = list {
                list.push(text.into());
            }
            continue;
        }
        let value = match text.as_str() {
            "true" | "false" if is("boolean") => Value::Bool(text == "true"),
            number if is("integer") => number.parse::<i64>().map_or(Value::String(text), Value::from),
            _ => Value::String(text),
        };
        object.insert(name.into_owned(), value);
    }
    Value::Object(object)
}

/// What the document says of a body.
pub struct BodyShape {
    /// The schema, mostly a reference.
    pub schema: Value,
    /// Whether there must be one.
    pub required: bool,
    /// The media type.
    pub media_type: &'static str,
}

/// What a body holds.
pub trait BodyPart: Sized + Send + 'static {
    /// Describes it; `None` if no body is taken.
    fn shape(schemas: &mut Schemas) -> Option<BodyShape>;
    /// Reads it. No body at all counts as `{}`.
    fn read(value: Value) -> Result<Self, Faults>;
}

/// Takes no field at all.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl BodyPart for () {
    fn shape(_: &mut Schemas) -> Option<BodyShape> {
        None
    }

    fn read(value: Value) -> Result<Self, Faults> {
        input::read::<Nothing>(value).map(|_| ())
    }
}

/// A body that is a `T`.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned + ToSchema + Send + 'static> BodyPart for Body<T> {
    fn shape(schemas: &mut Schemas) -> Option<BodyShape> {
        let name = add_schema::<T>(schemas);
        // Without a required field the body may be left out.
        let required = schemas[&name]["required"].as_array().is_some_and(|fields| !fields.is_empty());
        Some(BodyShape { schema: reference(&name), required, media_type: "application/json" })
    }

    fn read(value: Value) -> Result<Self, Faults> {
        input::read(value).map(Body)
    }
}

/// A body that changes a `T`: a JSON Merge Patch (RFC 7396).
pub struct Patch<T>(Value, PhantomData<fn() -> T>);

impl<T: Serialize + DeserializeOwned> Patch<T> {
    /// What the patch makes of the present state.
    pub fn apply(&self, present: &T) -> Result<T, Faults> {
        input::patched(present, &self.0)
    }
}

impl<T: ToSchema + 'static> BodyPart for Patch<T> {
    fn shape(schemas: &mut Schemas) -> Option<BodyShape> {
        let of = add_schema::<T>(schemas);
        let name = format!("{}Patch", of.trim_end_matches("Input"));
        let mut schema = as_patch(&reference(&of), schemas);
        schema["description"] = format!(
            "Changes to a `{of}` (JSON Merge Patch, RFC 7396): what is left out stays, `null` brings back the default."
        )
        .into();
        schemas.insert(name.clone(), schema);
        Some(BodyShape {
            schema: reference(&name),
            required: true,
            media_type: "application/merge-patch+json",
        })
    }

    fn read(value: Value) -> Result<Self, Faults> {
        Ok(Self(value, PhantomData))
    }
}

/// The schema of a merge patch: no field is required, each may be `null`, and objects in it are patches themselves.
fn as_patch(schema: &Value, schemas: &Schemas) -> Value {
    let name = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
    let target = name.and_then(|name| schemas.get(name)).filter(|target| target["properties"].is_object());
    let mut patch = target.unwrap_or(schema).clone();
    let nullable = |schema: &Value| json!({"anyOf": [as_patch(schema, schemas), {"type": "null"}]});
    if let Value::Object(object) = &mut patch {
        // The field says what it is for, its type only what it is.
        if let Some(description) = schema.get("description") {
            object.insert("description".into(), description.clone());
        }
        object.shift_remove("required");
        for field in object.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
            *field.1 = nullable(field.1);
        }
        if let Some(rest) = object.get_mut("additionalProperties").filter(|rest| rest.is_object()) {
            *rest = nullable(rest);
        }
        for choice in ["oneOf", "anyOf"] {
            for part in object.get_mut(choice).and_then(Value::as_array_mut).into_iter().flatten() {
                *part = as_patch(part, schemas);
            }
        }
    }
    patch
}

/// What a successful answer holds.
pub trait Answer: Send + 'static {
    /// Its status.
    const STATUS: StatusCode;
    /// The schema of its body, if it has one.
    fn schema(schemas: &mut Schemas) -> Option<Value>;
    /// The answer itself.
    fn respond(self) -> Response;
}

/// An answer with a body: 200.
pub struct Shown<T>(pub T);

impl<T: Serialize + ToSchema + Send + 'static> Answer for Shown<T> {
    const STATUS: StatusCode = StatusCode::OK;

    fn schema(schemas: &mut Schemas) -> Option<Value> {
        Some(reference(&add_schema::<T>(schemas)))
    }

    fn respond(self) -> Response {
        Json(self.0).into_response()
    }
}

/// Something new: 201, with its address in `Location`.
pub struct Created<T>(pub String, pub T);

impl<T: Serialize + ToSchema + Send + 'static> Answer for Created<T> {
    const STATUS: StatusCode = StatusCode::CREATED;

    fn schema(schemas: &mut Schemas) -> Option<Value> {
        Some(reference(&add_schema::<T>(schemas)))
    }

    fn respond(self) -> Response {
        (Self::STATUS, [(header::LOCATION, self.0)], Json(self.1)).into_response()
    }
}

/// Something that is gone: 204, without a body.
pub struct Gone;

impl Answer for Gone {
    const STATUS: StatusCode = StatusCode::NO_CONTENT;

    fn schema(_: &mut Schemas) -> Option<Value> {
        None
    }

    fn respond(self) -> Response {
        Self::STATUS.into_response()
    }
}

/// An object whose shape somebody else decides.
pub struct Free(pub Value);

impl Answer for Free {
    const STATUS: StatusCode = StatusCode::OK;

    fn schema(_: &mut Schemas) -> Option<Value> {
        Some(json!({"type": "object", "additionalProperties": true}))
    }

    fn respond(self) -> Response {
        Json(self.0).into_response()
    }
}

/// Adds a type's schema and those that it refers to; gives its name.
pub fn add_schema<T: ToSchema>(schemas: &mut Schemas) -> String {
    let mut found = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut found);
    for (name, schema) in found {
        schemas.insert(name, plain(&schema));
    }
    T::name().into_owned()
}

fn plain(schema: &openapi::RefOr<openapi::schema::Schema>) -> Value {
    // Schemas are made of texts and numbers: writing them does not fail.
    serde_json::to_value(schema).unwrap_or_default()
}

/// A reference to a schema of the document.
pub fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// An endpoint: where it is, what serves it, and what it takes and gives.
pub struct Endpoint {
    /// Its method.
    pub method: Method,
    /// Its path, `/api/...`; a parameter is written `{id}`.
    pub path: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// What else there is to know.
    pub description: &'static str,
    /// The type of the path's parameter.
    pub parameter: Option<Value>,
    /// The schema of the query.
    pub query: Option<Value>,
    /// The body that it takes.
    pub body: Option<BodyShape>,
    /// An example of the body.
    pub example: Option<Value>,
    /// The status of success, and the schema of its body.
    pub success: (StatusCode, Option<Value>),
    /// Ways to fail that not every endpoint of its shape has.
    pub failures: Vec<(StatusCode, &'static str)>,
    /// Every schema that it refers to.
    pub schemas: Schemas,
    /// Reads a body as the endpoint does.
    pub check_body: fn(Value) -> Result<(), Faults>,
    route: MethodRouter<Site>,
}

impl Endpoint {
    /// An endpoint from its handler, whose types say what it takes and gives.
    pub fn new<P, Q, B, A, F>(
        method: Method,
        path: &'static str,
        summary: &'static str,
        handler: impl Fn(Asked<P, Q, B>) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        P: PathPart,
        Q: QueryPart,
        B: BodyPart,
        A: Answer,
        F: Future<Output = Result<A>> + Send + 'static,
    {
        let serve = move |State(site): State<Site>, request: Request| {
            let handler = handler.clone();
            async move {
                let asked = match asked::<P, Q, B>(site, request).await {
                    Ok(asked) => asked,
                    Err(refusal) => return refusal.into_response(),
                };
                handler(asked).await.map_or_else(IntoResponse::into_response, Answer::respond)
            }
        };
        let mut schemas = Schemas::new();
        let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET);
        Self {
            method,
            path,
            summary,
            description: "",
            parameter: P::schema(),
            query: Q::schema(&mut schemas),
            body: B::shape(&mut schemas),
            example: None,
            success: (A::STATUS, A::schema(&mut schemas)),
            failures: Vec::new(),
            schemas,
            check_body: |value| B::read(value).map(|_| ()),
            route: on(filter, serve),
        }
    }

    /// Says what else there is to know.
    pub fn about(mut self, text: &'static str) -> Self {
        self.description = text;
        self
    }

    /// Gives an example of the body.
    pub fn example(mut self, body: Value) -> Self {
        self.example = Some(body);
        self
    }

    /// Names a further way to fail.
    pub fn fails(mut self, status: StatusCode, when: &'static str) -> Self {
        self.failures.push((status, when));
        self
    }

    /// What serves it.
    pub fn route(&self) -> MethodRouter<Site> {
        self.route.clone()
    }
}

/// Reads a request into what its handler takes.
async fn asked<P: PathPart, Q: QueryPart, B: BodyPart>(
    site: Site,
    request: Request,
) -> Result<Asked<P, Q, B>> {
    let (mut parts, body) = request.into_parts();
    let caller = parts.extensions.get::<Caller>().cloned().ok_or(Error::Unauthorized)?;
    let parameter = match P::schema() {
        Some(_) => Path::<String>::from_request_parts(&mut parts, &()).await.ok().map(|Path(text)| text),
        None => None,
    };
    let path = P::read(parameter.as_deref())?;
    let query = Q::read(parts.uri.query().unwrap_or_default())?;
    let body = B::read(read_json(&parts, body).await?)?;
    Ok(Asked { site, caller, headers: parts.headers, path, query, body })
}

/// The body as JSON; an empty one counts as an object without fields.
async fn read_json(parts: &Parts, body: HttpBody) -> Result<Value> {
    let bytes = match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Err(Error::TooLarge { limit: MAX_BODY_BYTES as u64 }.into());
        }
        Err(_) => return Err(Error::BadRequest("the body did not arrive whole; send it again".into()).into()),
    };
    if bytes.is_empty() {
        return Ok(json!({}));
    }
    if !is_json(&parts.headers) {
        let message = "Send JSON, with `Content-Type: application/json`.";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
    }
    serde_json::from_slice(&bytes).map_err(|error| {
        let message = format!("The body is not JSON: {error}.");
        Refusal::new(StatusCode::BAD_REQUEST, "invalid_json", message)
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_querys_texts_become_what_the_schema_says() {
        let schema = json!({"properties": {
            "limit": {"type": ["integer", "null"]}, "on": {"type": "boolean"},
            "model": {"type": "array"}, "name": {"type": "string"},
        }});
        assert_eq!(
            query_object("limit=5&on=true&model=a&model=b%2Fc&name=7&other=x", &schema),
            json!({"limit": 5, "on": true, "model": ["a", "b/c"], "name": "7", "other": "x"})
        );
        assert_eq!(query_object("limit=five", &schema), json!({"limit": "five"}));
    }
}
