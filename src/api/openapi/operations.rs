//! The table of operations: what the document says of each beside what follows from its route.
//!
//! A line has the operation's id, a summary and its own answers, each a status with its meaning, the shape of its body and
//! its headers. The route table refers to a line by the id: a route without a line does not compile, and a line that no
//! route refers to is dead code. What every operation answers is in `paths`.

use serde_json::Value;

use super::answers::Refusal::{self, *};
use super::answers::{BYTES, JSON};
use super::parameters;
use crate::api::images::update::{V20, V21};
use crate::policy::Rule;

/// An operation and where it stands.
#[derive(Debug)]
pub(in crate::api) struct Place {
    /// The path, with parameters in braces.
    pub(in crate::api) path: &'static str,
    /// The method, in capitals.
    pub(in crate::api) method: &'static str,
    /// The rules that it asks.
    pub(in crate::api) rules: &'static [Rule],
    /// The rest.
    pub(in crate::api) operation: &'static Operation,
}

/// A line of the table.
#[derive(Debug)]
pub(in crate::api) struct Operation {
    pub(super) id: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    /// What else is to be said, or nothing.
    pub(super) note: &'static str,
    /// Parameters of the query and of headers.
    pub(super) parameters: fn() -> Vec<Value>,
    /// Media types of the request's body, each with the shape; none without a body.
    pub(super) body: &'static [(&'static str, &'static str)],
    /// The answers to a request that is carried out, the usual one first.
    pub(super) answers: &'static [Answer],
    /// The refusals that do not follow from the route.
    pub(super) refusals: &'static [Refusal],
    /// Where an answer has the name of what was made, or of the first record of a list: a JSON pointer.
    pub(super) gives: Option<&'static str>,
    /// Operations on the same path, or on a part of it, that make sense next.
    pub(super) leads_to: &'static [&'static str],
}

/// An answer that is no refusal.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) meaning: &'static str,
    /// The shape of its body; nothing without one.
    pub(super) shape: Option<&'static str>,
    /// Names of its headers in the document.
    pub(super) headers: &'static [&'static str],
}

impl Operation {
    const fn new(
        (tag, id, summary): (&'static str, &'static str, &'static str),
        answers: &'static [Answer],
    ) -> Self {
        Self {
            id,
            tag,
            summary,
            note: "",
            parameters: Vec::new,
            body: &[],
            answers,
            refusals: &[],
            gives: None,
            leads_to: &[],
        }
    }

    const fn note(self, note: &'static str) -> Self {
        Self { note, ..self }
    }

    const fn parameters(self, parameters: fn() -> Vec<Value>) -> Self {
        Self { parameters, ..self }
    }

    const fn body(self, body: &'static [(&'static str, &'static str)]) -> Self {
        Self { body, ..self }
    }

    const fn or(self, refusals: &'static [Refusal]) -> Self {
        Self { refusals, ..self }
    }

    const fn gives(self, pointer: &'static str) -> Self {
        Self {
            gives: Some(pointer),
            ..self
        }
    }

    const fn leads_to(self, leads_to: &'static [&'static str]) -> Self {
        Self { leads_to, ..self }
    }
}

/// Makes the tags, and a constant of every line by its id.
macro_rules! operations {
    ($($tag:ident $about:literal {
        $($id:ident $summary:literal [
            $($status:literal $meaning:literal $($shape:ident)? $([$($header:ident),+])?),* $(,)?
        ] $($with:ident($($value:expr),*))*;)+
    })+) => {
        /// The groups of operations, with what each is about.
        pub(super) const TAGS: &[(&str, &str)] = &[$((stringify!($tag), $about)),+];

        $($(
            #[expect(non_upper_case_globals, reason = "the name is the operationId of the document")]
            pub(in crate::api) const $id: Operation = Operation::new(
                (stringify!($tag), stringify!($id), $summary),
                &[$(Answer {
                    status: $status,
                    meaning: $meaning,
                    shape: shape!($($shape)?),
                    headers: &[$($(stringify!($header)),+)?],
                }),*],
            )$(.$with($($value),*))*;
        )+)+
    };
}

macro_rules! shape {
    () => {
        None
    };
    ($shape:ident) => {
        Some(stringify!($shape))
    };
}

const ACTION: &str =
    "Without a body. In any status but active and deactivated it is refused with 403.";
const PROTECTED: &str = "Refused with 403 in a protected namespace.";
const RENAMES: &str = "Another name renames it.";

operations! {
    versions "What clients ask first; without a token." {
        choose_version "The versions this service speaks" [300 "The versions, the current one among them." Versions]
            note("Answered 300, which clients of the Image API expect here. A path whose first segment is unknown \
                gets the same.");
        list_versions "The versions this service speaks" [200 "The versions, the current one among them." Versions];
        list_versions_slash "The same as /versions" [200 "The versions, the current one among them." Versions];
        healthcheck "Whether the service can work" [
            200 "It can." Health,
            503 "It cannot: the catalog does not answer." Health,
        ];
        healthcheck_head "The same without a body" [204 "It can.", 503 "It cannot: the catalog does not answer."];
        show_openapi "This document" [200 "The OpenAPI document." OpenApi] or(&[BadRequest]);
        add_slash "Redirects to /v2/" [302 "To the same path with a slash." [Location]];
    }
    images "Records of images." {
        list_images "A page of the images the caller sees" [200 "A page; with `next` when it is full." Images]
            parameters(parameters::image_list) gives("images/0/id")
            note("All filters must hold. A query key that is not listed here filters by the extra property of \
                that name.");
        create_image "Makes a record, in status queued"
            [201 "The record." Image [Location, ImportMethods, StoreIds]] body(&[(JSON, "ImageCreate")]) or(&[Conflict])
            gives("id") note("The Content-Type is not looked at. Read-only and reserved names are refused with 403.");
        show_image "The record of an image" [200 "The record." Image];
        update_image "Changes attributes and extra properties" [200 "The whole record after the change." Image]
            body(&[(V21, "Patch21"), (V20, "Patch20")]) or(&[Conflict, UnsupportedPatch])
            note("All operations are carried out, or none. Locations can be removed on a site that shows them, \
                and never be added.");
        delete_image "Deletes an image and its data" [204 "It is gone."] or(&[Conflict])
            note("A protected image is refused with 403, to administrators too.");
    }
    image_data "The bytes of images." {
        download_image_data "The data of an image, whole or a range of it" [
            200 "The whole data." Binary [ContentLength, ContentMd5, AcceptRanges, ETag],
            204 "The image has no data yet.",
            206 "The range that was asked for, also when it is the whole." Binary
                [ContentLength, ContentRange, ContentMd5, AcceptRanges, ETag],
            304 "The client has these bytes (If-None-Match)." [ETag],
        ] parameters(parameters::download) or(&[PreconditionFailed, RangeNotSatisfiable])
            note("Needs the member role. A deactivated image is refused with 403 to all but administrators; \
                several ranges at once are refused with 400.");
        upload_image_data "Takes the data of a queued image in" [204 "The data is stored and the image is active."]
            parameters(parameters::upload) body(&[(BYTES, "Binary")])
            or(&[RequestTimeout, Conflict, Gone, UnsupportedMediaType])
            leads_to(&["show_image", "download_image_data", "deactivate_image", "reactivate_image", "delete_image"])
            note("Both formats must be set before. The data must be of the format it claims, else 415; after \
                every refusal the image is queued again and nothing is left. 410: deleted meanwhile.");
        stage_image_data "Takes data of a queued image in for an import" [204 "The data is staged and the image is uploading."]
            parameters(parameters::upload) body(&[(BYTES, "Binary")])
            or(&[RequestTimeout, Conflict, Gone, UnsupportedMediaType])
            leads_to(&["show_image", "delete_image"])
            note("Both formats must be set before. The record shows the size alone; what the inspection of the format \
                says is told at the import. 404 on a site that has not the import method glance-direct.");
        import_image "Brings data into an image, or into more stores" [202 "A task is at it."]
            parameters(parameters::import) body(&[(JSON, "ImageImport")]) or(&[Conflict])
            leads_to(&["show_image", "list_image_tasks", "delete_image"])
            note("From what is staged, or from a URL: the image is importing until the task has ended, then active; or queued, \
                and the message of the task tells why. An active image is copied to more stores and stays active. An unknown store is refused with 409.");
    }
    image_tags "Tags of images." {
        add_image_tag "Puts a tag on an image" [204 "The image has the tag."] or(&[ContentTooLarge])
            leads_to(&["delete_image_tag"]);
        delete_image_tag "Takes a tag off an image" [204 "The image has not the tag any more."];
    }
    image_actions "Closing and opening images." {
        deactivate_image "Keeps the data from all but administrators" [204 "The image is deactivated."]
            note(ACTION);
        reactivate_image "Opens a deactivated image again" [204 "The image is active."]
            note(ACTION);
    }
    image_members "Projects that images are shared with." {
        list_image_members "The projects an image is shared with"
            [200 "The members; to a member only its own entry." Members];
        add_image_member "Shares an image with a project" [200 "The new member, pending." Member]
            body(&[(JSON, "MemberCreate")]) or(&[Conflict]) gives("member_id")
            note("Only images of visibility shared have members, others are refused with 403.");
        show_image_member "One member" [200 "The member." Member];
        update_image_member "Accepts or rejects a shared image" [200 "The member." Member]
            body(&[(JSON, "MemberUpdate")])
            note("For the member project, not for the owner.");
        delete_image_member "Ends the sharing with a project" [204 "The project is no member any more."];
    }
    image_locations "Places of image data." {
        list_image_locations "Where the data of an image is kept" [200 "The places; empty without data." Locations];
    }
    schemas "Schemas of the documents." {
        show_image_schema "The schema of an image" [200 "The schema." SchemaDocument];
        show_images_schema "The schema of a page of images" [200 "The schema." SchemaDocument];
        show_member_schema "The schema of a member" [200 "The schema." SchemaDocument];
        show_members_schema "The schema of the members of an image" [200 "The schema." SchemaDocument];
        show_task_schema "The schema of a task" [200 "The schema." SchemaDocument];
        show_tasks_schema "The schema of a page of tasks" [200 "The schema." SchemaDocument];
        show_metadef_namespace_schema "The schema of a namespace" [200 "The schema." SchemaDocument];
        show_metadef_namespaces_schema "The schema of a page of namespaces" [200 "The schema." SchemaDocument];
        show_metadef_object_schema "The schema of an object" [200 "The schema." SchemaDocument];
        show_metadef_objects_schema "The schema of the objects of a namespace" [200 "The schema." SchemaDocument];
        show_metadef_property_schema "The schema of a property" [200 "The schema." SchemaDocument];
        show_metadef_properties_schema "The schema of the properties of a namespace"
            [200 "The schema." SchemaDocument];
        show_metadef_resource_type_schema "The schema of an association with a resource type"
            [200 "The schema." SchemaDocument];
        show_metadef_resource_types_schema "The schema of the associations of a namespace"
            [200 "The schema." SchemaDocument];
        show_metadef_tag_schema "The schema of a tag" [200 "The schema." SchemaDocument];
        show_metadef_tags_schema "The schema of the tags of a namespace" [200 "The schema." SchemaDocument];
    }
    info "What this site offers." {
        show_import_info "The import methods of this site" [200 "The methods." ImportInfo];
        list_stores "The stores of this site" [200 "The stores." Stores];
        list_stores_detail "The stores with their settings" [200 "The stores." StoresDetail];
        show_usage "What the caller's project uses of its limits" [200 "The usage; empty without limits." Usage];
    }
    stores "Copies in stores." {
        delete_image_from_store "Removes the data of an image from one store"
            [204 "The store has no data of the image."] or(&[Conflict])
            note("Never the last copy (403), and only of an active image (409). 409 also for an unknown store.");
    }
    tasks "Work that goes on behind requests." {
        list_image_tasks "The tasks that worked on an image" [200 "The tasks of the caller's project." ImageTasks];
        list_tasks "A page of tasks" [200 "A page; with `next` when it is full." Tasks]
            parameters(parameters::task_list) gives("tasks/0/id");
        show_task "One task" [200 "The task." Task];
        delete_task "Refused: tasks end by themselves" [] or(&[MethodNotAllowed])
            note("Answered 405 to administrators when the task exists.");
    }
    metadefs "Definitions of extra properties, by namespace." {
        list_namespaces "A page of namespaces" [200 "A page; with `next` when it is full." Namespaces]
            parameters(parameters::namespace_list) gives("namespaces/0/namespace");
        create_namespace "Makes a namespace, with its parts if given" [201 "The namespace." Namespace [Location]]
            body(&[(JSON, "NamespaceRequest")]) or(&[Conflict]) gives("namespace");
        show_namespace "A namespace with its parts" [200 "The namespace." Namespace]
            parameters(parameters::resource_type);
        update_namespace "Replaces the attributes of a namespace" [200 "The namespace." Namespace]
            body(&[(JSON, "NamespaceRequest")]) or(&[Conflict])
            note("What is left out gets its default; the parts stay as they are.");
        delete_namespace "Deletes a namespace and its parts" [204 "It is gone."]
            note("A protected namespace is refused with 403.");
        list_properties "The properties of a namespace" [200 "The properties." MetadefProperties];
        create_property "Adds a property to a namespace" [201 "The property." MetadefNamedProperty]
            body(&[(JSON, "MetadefPropertyRequest")]) or(&[Conflict]) gives("name");
        delete_properties "Deletes all properties of a namespace" [204 "They are gone."] note(PROTECTED);
        show_property "One property" [200 "The property." MetadefNamedProperty] parameters(parameters::resource_type);
        update_property "Replaces a property" [200 "The property." MetadefNamedProperty]
            body(&[(JSON, "MetadefPropertyRequest")]) or(&[Conflict]) note(RENAMES);
        delete_property "Deletes a property" [204 "It is gone."] note(PROTECTED);
        list_objects "The objects of a namespace" [200 "The objects." MetadefObjects]
            parameters(parameters::part_list)
            note("All of them, oldest first; a page of them, with links, for who asks by limit, marker or sort key.");
        create_object "Adds an object to a namespace" [201 "The object." MetadefObject]
            body(&[(JSON, "MetadefObjectRequest")]) or(&[Conflict]) gives("name");
        delete_objects "Deletes all objects of a namespace" [204 "They are gone."] note(PROTECTED);
        show_object "One object" [200 "The object." MetadefObject];
        update_object "Replaces an object" [200 "The object." MetadefObject] body(&[(JSON, "MetadefObjectRequest")])
            or(&[Conflict]) note(RENAMES);
        delete_object "Deletes an object" [204 "It is gone."] note(PROTECTED);
        list_tags "The tags of a namespace" [200 "The tags." MetadefTags] parameters(parameters::part_list)
            note("Their names, newest first.");
        create_tags "Replaces the tags of a namespace, or adds to them" [201 "The tags of the request." MetadefTags]
            parameters(parameters::append) body(&[(JSON, "MetadefTags")]) or(&[Conflict])
            note("An empty list changes nothing.");
        delete_tags "Deletes all tags of a namespace" [204 "They are gone."] note(PROTECTED);
        show_tag "One tag" [200 "The tag." MetadefTag];
        create_tag "Adds one tag to a namespace" [201 "The tag." MetadefTag] or(&[Conflict, ContentTooLarge])
            leads_to(&["show_tag", "update_tag", "delete_tag"])
            note("The name stands in the path; a body is not expected.");
        update_tag "Replaces a tag" [200 "The tag." MetadefTag] body(&[(JSON, "MetadefTagName")]) or(&[Conflict])
            note(RENAMES);
        delete_tag "Deletes a tag" [204 "It is gone."] note(PROTECTED);
        list_associations "The resource types a namespace is for" [200 "The associations." Associations];
        create_association "Associates a namespace with a resource type" [201 "The association." Association]
            body(&[(JSON, "AssociationRequest")]) or(&[Conflict]) gives("name")
            note("A resource type that is not known yet is made.");
        delete_association "Ends an association" [204 "It is gone."] note(PROTECTED);
        list_resource_types "Every known resource type" [200 "The resource types." ResourceTypes];
    }
}
