//! THE route table, and the layers in order.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodFilter, MethodRouter, any, get};
use http::Method;

use super::error::Error;
use super::openapi::{Place, operations};
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
/// A line is a path and its methods; a method names its line in `openapi::operations`, the rules it asks and its handler.
/// `missing` stands where other methods are 404 and not 405.
macro_rules! routes {
    ($($path:literal $(= $fallback:ident)? {
        $($method:ident $operation:ident [$($rule:ident),*] $handler:path),+ $(,)?
    })+) => {
        /// Every route under `/v2`.
        pub const ROUTES: &[Route] = &[$(Route {
            path: $path,
            methods: &[$((stringify!($method), &[$(Rule::$rule),*])),+],
        }),+];

        /// Every operation under `/v2`.
        pub(super) const PLACES: &[Place] = &[$($(Place {
            path: $path,
            method: stringify!($method),
            rules: &[$(Rule::$rule),*],
            operation: &operations::$operation,
        }),+),+];

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
        GET list_images [GetImages, GetImage] images::list::list,
        POST create_image [AddImage, PublicizeImage, CommunitizeImage] images::create::create,
    }
    "/v2/images/{image_id}" {
        GET show_image [GetImage] images::show::show,
        PATCH update_image [ModifyImage, PublicizeImage, CommunitizeImage] images::update::update,
        DELETE delete_image [DeleteImage] images::delete::delete,
    }
    "/v2/images/{image_id}/file" {
        GET download_image_data [DownloadImage, DownloadFromStore] images::download::download,
        PUT upload_image_data [UploadImage] images::upload::upload,
    }
    "/v2/images/{image_id}/stage" {
        PUT stage_image_data [ModifyImage] images::stage::stage,
    }
    "/v2/images/{image_id}/import" {
        POST import_image [ModifyImage, CopyImage] images::import::import,
    }
    "/v2/images/{image_id}/tags/{tag}" {
        PUT add_image_tag [ModifyImage] images::tags::add,
        DELETE delete_image_tag [ModifyImage] images::tags::remove,
    }
    "/v2/images/{image_id}/members" {
        GET list_image_members [GetMembers, GetMember] images::members::list,
        POST add_image_member [AddMember] images::members::create,
    }
    "/v2/images/{image_id}/members/{member_id}" {
        GET show_image_member [GetMember] images::members::show,
        PUT update_image_member [ModifyMember] images::members::update,
        DELETE delete_image_member [DeleteMember] images::members::delete,
    }
    "/v2/images/{image_id}/locations" {
        GET list_image_locations [FetchImageLocation] images::locations::list,
    }
    "/v2/images/{image_id}/tasks" = missing {
        GET list_image_tasks [GetImage] tasks::list_of_image,
    }
    "/v2/images/{image_id}/actions/deactivate" {
        POST deactivate_image [Deactivate] images::actions::deactivate,
    }
    "/v2/images/{image_id}/actions/reactivate" {
        POST reactivate_image [Reactivate] images::actions::reactivate,
    }
    "/v2/stores/{store_id}/{image_id}" {
        DELETE delete_image_from_store [GetImageLocation, DeleteImageLocation] images::locations::delete_from_store,
    }
    "/v2/info/import" {
        GET show_import_info [] info::import,
    }
    "/v2/info/stores" {
        GET list_stores [] info::stores,
    }
    "/v2/info/stores/detail" {
        GET list_stores_detail [StoresInfoDetail] info::stores_detail,
    }
    "/v2/info/usage" = missing {
        GET show_usage [] info::usage,
    }
    "/v2/tasks" {
        GET list_tasks [TasksApiAccess, GetTasks] tasks::list,
    }
    "/v2/tasks/{task_id}" {
        GET show_task [TasksApiAccess, GetTask] tasks::show,
        DELETE delete_task [TasksApiAccess, GetTask] tasks::delete,
    }
    "/v2/metadefs/namespaces" {
        GET list_namespaces [
            GetMetadefNamespaces, ListMetadefResourceTypes, GetMetadefNamespace
        ] metadefs::namespaces::list,
        POST create_namespace [
            AddMetadefNamespace, AddMetadefResourceTypeAssociation, AddMetadefObject, AddMetadefProperty, AddMetadefTag
        ] metadefs::namespaces::create,
    }
    "/v2/metadefs/namespaces/{namespace}" {
        GET show_namespace [
            GetMetadefNamespace, ListMetadefResourceTypes, GetMetadefObjects, GetMetadefProperties, GetMetadefTags
        ] metadefs::namespaces::show,
        PUT update_namespace [ModifyMetadefNamespace] metadefs::namespaces::update,
        DELETE delete_namespace [DeleteMetadefNamespace] metadefs::namespaces::delete,
    }
    "/v2/metadefs/namespaces/{namespace}/properties" {
        GET list_properties [GetMetadefProperties, GetMetadefProperty] metadefs::properties::list,
        POST create_property [AddMetadefProperty] metadefs::properties::create,
        DELETE delete_properties [DeleteMetadefNamespace] metadefs::properties::delete_all,
    }
    "/v2/metadefs/namespaces/{namespace}/properties/{property}" {
        GET show_property [GetMetadefProperty, GetMetadefResourceType] metadefs::properties::show,
        PUT update_property [ModifyMetadefProperty] metadefs::properties::update,
        DELETE delete_property [RemoveMetadefProperty] metadefs::properties::delete,
    }
    "/v2/metadefs/namespaces/{namespace}/objects" {
        GET list_objects [GetMetadefObjects, GetMetadefObject] metadefs::objects::list,
        POST create_object [AddMetadefObject] metadefs::objects::create,
        DELETE delete_objects [DeleteMetadefNamespace] metadefs::objects::delete_all,
    }
    "/v2/metadefs/namespaces/{namespace}/objects/{object}" {
        GET show_object [GetMetadefObject] metadefs::objects::show,
        PUT update_object [ModifyMetadefObject] metadefs::objects::update,
        DELETE delete_object [DeleteMetadefObject] metadefs::objects::delete,
    }
    "/v2/metadefs/namespaces/{namespace}/tags" {
        GET list_tags [GetMetadefTags, GetMetadefTag] metadefs::tags::list,
        POST create_tags [AddMetadefTags] metadefs::tags::create_all,
        DELETE delete_tags [DeleteMetadefNamespace, DeleteMetadefTags] metadefs::tags::delete_all,
    }
    "/v2/metadefs/namespaces/{namespace}/tags/{tag}" {
        GET show_tag [GetMetadefTag] metadefs::tags::show,
        POST create_tag [AddMetadefTag] metadefs::tags::create,
        PUT update_tag [ModifyMetadefTag] metadefs::tags::update,
        DELETE delete_tag [DeleteMetadefTag] metadefs::tags::delete,
    }
    "/v2/metadefs/namespaces/{namespace}/resource_types" {
        GET list_associations [GetMetadefResourceType] metadefs::resource_types::list,
        POST create_association [AddMetadefResourceTypeAssociation] metadefs::resource_types::create,
    }
    "/v2/metadefs/namespaces/{namespace}/resource_types/{resource_type}" {
        DELETE delete_association [RemoveMetadefResourceTypeAssociation] metadefs::resource_types::delete,
    }
    "/v2/metadefs/resource_types" {
        GET list_resource_types [ListMetadefResourceTypes] metadefs::resource_types::list_all,
    }
    "/v2/schemas/image" {
        GET show_image_schema [] schemas::show,
    }
    "/v2/schemas/images" {
        GET show_images_schema [] schemas::show,
    }
    "/v2/schemas/member" {
        GET show_member_schema [] schemas::show,
    }
    "/v2/schemas/members" {
        GET show_members_schema [] schemas::show,
    }
    "/v2/schemas/task" {
        GET show_task_schema [] schemas::show,
    }
    "/v2/schemas/tasks" {
        GET show_tasks_schema [] schemas::show,
    }
    "/v2/schemas/metadefs/namespace" {
        GET show_metadef_namespace_schema [] schemas::show,
    }
    "/v2/schemas/metadefs/namespaces" {
        GET show_metadef_namespaces_schema [] schemas::show,
    }
    "/v2/schemas/metadefs/object" {
        GET show_metadef_object_schema [] schemas::show,
    }
    "/v2/schemas/metadefs/objects" {
        GET show_metadef_objects_schema [] schemas::show,
    }
    "/v2/schemas/metadefs/property" {
        GET show_metadef_property_schema [] schemas::show,
    }
    "/v2/schemas/metadefs/properties" {
        GET show_metadef_properties_schema [] schemas::show,
    }
    "/v2/schemas/metadefs/resource_type" {
        GET show_metadef_resource_type_schema [] schemas::show,
    }
    "/v2/schemas/metadefs/resource_types" {
        GET show_metadef_resource_types_schema [] schemas::show,
    }
    "/v2/schemas/metadefs/tag" {
        GET show_metadef_tag_schema [] schemas::show,
    }
    "/v2/schemas/metadefs/tags" {
        GET show_metadef_tags_schema [] schemas::show,
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
        .route("/openapi.json", only("GET", get(openapi::show)));
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
