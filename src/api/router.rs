//! THE route table, and the layers in order.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodFilter, MethodRouter, any, get};
use http::Method;

use super::error::Error;
use super::state::AppState;
use super::{Api, images, info, metadefs, middleware, openapi, protocol, schemas, tasks, versions};
use crate::policy::Rule;

/// Methods that some route has; others are 501 on unknown paths.
pub(super) const METHODS: [Method; 6] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::PATCH,
];

/// A route under `/v2`, as the table has it.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The path, with parameters in braces.
    pub path: &'static str,
    /// Its methods, with the rules that each asks; none where any valid token will do.
    pub methods: &'static [(&'static str, &'static [Rule])],
}

/// Makes the table and the router of the same lines.
///
/// A line is a path and its methods; a method names the rules it asks and its handler. `missing` stands where other methods
/// are 404 and not 405.
macro_rules! routes {
    ($($path:literal $(= $fallback:ident)? {
        $($method:ident [$($rule:ident),*] $handler:path),+ $(,)?
    })+) => {
        /// Every route under `/v2`.
        pub const ROUTES: &[Route] = &[$(Route {
            path: $path,
            methods: &[$((stringify!($method), &[$(Rule::$rule),*])),+],
        }),+];

        fn table() -> Router<AppState> {
            Router::new()$(.route(
                $path,
                fallback!($($fallback)?)(
                    allow!($($method),+),
                    MethodRouter::new()$(.on(MethodFilter::$method, $handler))+,
                ),
            ))+
        }
    };
}

/// The value of `Allow`: the methods in the order of the table.
macro_rules! allow {
    ($first:ident $(, $method:ident)*) => { concat!(stringify!($first) $(, ", ", stringify!($method))*) };
}

macro_rules! fallback {
    () => {
        only
    };
    (missing) => {
        or_missing
    };
}

routes! {
    "/v2/images" {
        GET [GetImages, GetImage] images::list::list,
        POST [AddImage, PublicizeImage, CommunitizeImage] images::create::create,
    }
    "/v2/images/{image_id}" {
        GET [GetImage] images::show::show,
        PATCH [ModifyImage, PublicizeImage, CommunitizeImage] images::update::update,
        DELETE [DeleteImage] images::delete::delete,
    }
    "/v2/images/{image_id}/file" {
        GET [DownloadImage, DownloadFromStore] images::download::download,
        PUT [UploadImage] images::upload::upload,
    }
    "/v2/images/{image_id}/tags/{tag}" {
        PUT [ModifyImage] images::tags::add,
        DELETE [ModifyImage] images::tags::remove,
    }
    "/v2/images/{image_id}/members" {
        GET [GetMembers, GetMember] images::members::list,
        POST [AddMember] images::members::create,
    }
    "/v2/images/{image_id}/members/{member_id}" {
        GET [GetMember] images::members::show,
        PUT [ModifyMember] images::members::update,
        DELETE [DeleteMember] images::members::delete,
    }
    "/v2/images/{image_id}/locations" {
        GET [FetchImageLocation] images::locations::list,
    }
    "/v2/images/{image_id}/tasks" = missing {
        GET [GetImage] tasks::list_of_image,
    }
    "/v2/images/{image_id}/actions/deactivate" {
        POST [Deactivate] images::actions::deactivate,
    }
    "/v2/images/{image_id}/actions/reactivate" {
        POST [Reactivate] images::actions::reactivate,
    }
    "/v2/stores/{store_id}/{image_id}" {
        DELETE [GetImageLocation, DeleteImageLocation] images::locations::delete_from_store,
    }
    "/v2/info/import" {
        GET [] info::import,
    }
    "/v2/info/stores" {
        GET [] info::stores,
    }
    "/v2/info/stores/detail" {
        GET [StoresInfoDetail] info::stores_detail,
    }
    "/v2/info/usage" = missing {
        GET [] info::usage,
    }
    "/v2/tasks" {
        GET [TasksApiAccess, GetTasks] tasks::list,
    }
    "/v2/tasks/{task_id}" {
        GET [TasksApiAccess, GetTask] tasks::show,
        DELETE [TasksApiAccess, GetTask] tasks::delete,
    }
    "/v2/metadefs/namespaces" {
        GET [GetMetadefNamespaces, ListMetadefResourceTypes, GetMetadefNamespace] metadefs::namespaces::list,
        POST [
            AddMetadefNamespace, AddMetadefResourceTypeAssociation, AddMetadefObject, AddMetadefProperty, AddMetadefTag
        ] metadefs::namespaces::create,
    }
    "/v2/metadefs/namespaces/{namespace}" {
        GET [
            GetMetadefNamespace, ListMetadefResourceTypes, GetMetadefObjects, GetMetadefProperties, GetMetadefTags
        ] metadefs::namespaces::show,
        PUT [ModifyMetadefNamespace] metadefs::namespaces::update,
        DELETE [DeleteMetadefNamespace] metadefs::namespaces::delete,
    }
    "/v2/metadefs/namespaces/{namespace}/properties" {
        GET [GetMetadefProperties, GetMetadefProperty] metadefs::properties::list,
        POST [AddMetadefProperty] metadefs::properties::create,
        DELETE [DeleteMetadefNamespace] metadefs::properties::delete_all,
    }
    "/v2/metadefs/namespaces/{namespace}/properties/{property}" {
        GET [GetMetadefProperty, GetMetadefResourceType] metadefs::properties::show,
        PUT [ModifyMetadefProperty] metadefs::properties::update,
        DELETE [RemoveMetadefProperty] metadefs::properties::delete,
    }
    "/v2/metadefs/namespaces/{namespace}/objects" {
        GET [GetMetadefObjects, GetMetadefObject] metadefs::objects::list,
        POST [AddMetadefObject] metadefs::objects::create,
        DELETE [DeleteMetadefNamespace] metadefs::objects::delete_all,
    }
    "/v2/metadefs/namespaces/{namespace}/objects/{object}" {
        GET [GetMetadefObject] metadefs::objects::show,
        PUT [ModifyMetadefObject] metadefs::objects::update,
        DELETE [DeleteMetadefObject] metadefs::objects::delete,
    }
    "/v2/metadefs/namespaces/{namespace}/tags" {
        GET [GetMetadefTags, GetMetadefTag] metadefs::tags::list,
        POST [AddMetadefTags] metadefs::tags::create_all,
        DELETE [DeleteMetadefNamespace, DeleteMetadefTags] metadefs::tags::delete_all,
    }
    "/v2/metadefs/namespaces/{namespace}/tags/{tag}" {
        GET [GetMetadefTag] metadefs::tags::show,
        POST [AddMetadefTag] metadefs::tags::create,
        PUT [ModifyMetadefTag] metadefs::tags::update,
        DELETE [DeleteMetadefTag] metadefs::tags::delete,
    }
    "/v2/metadefs/namespaces/{namespace}/resource_types" {
        GET [GetMetadefResourceType] metadefs::resource_types::list,
        POST [AddMetadefResourceTypeAssociation] metadefs::resource_types::create,
    }
    "/v2/metadefs/namespaces/{namespace}/resource_types/{resource_type}" {
        DELETE [RemoveMetadefResourceTypeAssociation] metadefs::resource_types::delete,
    }
    "/v2/metadefs/resource_types" {
        GET [ListMetadefResourceTypes] metadefs::resource_types::list_all,
    }
    "/v2/schemas/image" {
        GET [] schemas::show,
    }
    "/v2/schemas/images" {
        GET [] schemas::show,
    }
    "/v2/schemas/member" {
        GET [] schemas::show,
    }
    "/v2/schemas/members" {
        GET [] schemas::show,
    }
    "/v2/schemas/task" {
        GET [] schemas::show,
    }
    "/v2/schemas/tasks" {
        GET [] schemas::show,
    }
    "/v2/schemas/metadefs/namespace" {
        GET [] schemas::show,
    }
    "/v2/schemas/metadefs/namespaces" {
        GET [] schemas::show,
    }
    "/v2/schemas/metadefs/object" {
        GET [] schemas::show,
    }
    "/v2/schemas/metadefs/objects" {
        GET [] schemas::show,
    }
    "/v2/schemas/metadefs/property" {
        GET [] schemas::show,
    }
    "/v2/schemas/metadefs/properties" {
        GET [] schemas::show,
    }
    "/v2/schemas/metadefs/resource_type" {
        GET [] schemas::show,
    }
    "/v2/schemas/metadefs/resource_types" {
        GET [] schemas::show,
    }
    "/v2/schemas/metadefs/tag" {
        GET [] schemas::show,
    }
    "/v2/schemas/metadefs/tags" {
        GET [] schemas::show,
    }
}

/// Every route, and the layers in order.
pub(super) fn build(api: &Api) -> Router {
    let state = &api.state;
    let v2 = table()
        .route("/v2", any(middleware::add_slash))
        .fallback(middleware::no_route)
        .layer(from_fn_with_state(
            api.admission.clone(),
            middleware::authenticate,
        ));
    let open = Router::new()
        .route("/", any(versions::choices))
        .route("/versions", any(versions::versions))
        .route("/versions/", any(versions::versions))
        .route("/healthcheck", any(versions::healthcheck))
        .route("/openapi.json", only("GET", get(openapi::document)));
    let routes = open.merge(v2).with_state(state.clone());
    // Paths are rewritten before they are routed, so this layer goes around the router and not into it.
    let mut negotiated = Router::new()
        .fallback_service(routes)
        .layer(from_fn_with_state(
            Arc::clone(&state.endpoint),
            middleware::negotiate,
        ));
    if let Some(cors) = &api.cors {
        negotiated = negotiated.layer(cors.clone());
    }
    negotiated
        .layer(from_fn(protocol::check))
        .layer(from_fn_with_state(
            Arc::clone(&state.metrics),
            middleware::catch_panic,
        ))
        .layer(from_fn_with_state(
            api.observer.clone(),
            middleware::observe,
        ))
}

/// The methods of a route: others, HEAD included, are 405 with exactly this `Allow`.
fn only(allow: &'static str, methods: MethodRouter<AppState>) -> MethodRouter<AppState> {
    let refuse = move |request: Request| {
        let method = request.method().to_string();
        async move { Error::MethodNotAllowed { method, allow } }
    };
    // HEAD has a handler of its own, else that of GET would answer it.
    methods.head(refuse).fallback(refuse)
}

/// A route that does not exist for any other method: 404.
fn or_missing(_: &'static str, methods: MethodRouter<AppState>) -> MethodRouter<AppState> {
    let missing = async || Error::NoRoute;
    methods.head(missing).fallback(missing)
}
