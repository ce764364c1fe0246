//! The rules by name, with their secure defaults (contract 5.4).

/// The rule that makes an administrator.
pub(super) const CONTEXT_IS_ADMIN: &str = "context_is_admin";

/// Rules that others refer to.
pub(super) const BASES: [(&str, &str); 5] = [
    ("default", ""),
    (CONTEXT_IS_ADMIN, "role:admin"),
    ("service_api", "role:service or rule:context_is_admin"),
    (
        "metadef_default",
        "rule:context_is_admin or (role:reader and (project_id:%(project_id)s or 'public':%(visibility)s))",
    ),
    ("metadef_admin", "rule:context_is_admin"),
];

// Texts that several rules share.
const ADMIN: &str = "rule:context_is_admin";
const OWNER_MEMBER: &str = "rule:context_is_admin or (role:member and project_id:%(project_id)s)";
const OWNER_READER: &str = "rule:context_is_admin or (role:reader and project_id:%(project_id)s)";
/// The owner's readers, and those of a project the image is shared with.
const SHARING_READER: &str = "rule:context_is_admin or (role:reader and (project_id:%(project_id)s or \
    project_id:%(member_id)s))";
/// Everybody who sees a shared image; each row of the member list is asked about once more.
const SHARED_READER: &str = "rule:context_is_admin or (role:reader and (project_id:%(project_id)s or \
    project_id:%(member_id)s or 'shared':%(visibility)s))";
/// Everybody who sees the image, as a reader or as a member. An image that is shared is seen by its members, and without
/// an owner by whoever knows its id: [`crate::image::Viewer`] decides that before any rule is asked.
const SEEING_READER: &str = "rule:context_is_admin or (role:reader and (project_id:%(project_id)s or \
    project_id:%(member_id)s or 'community':%(visibility)s or 'public':%(visibility)s or 'shared':%(visibility)s))";
const SEEING_MEMBER: &str = "rule:context_is_admin or (role:member and (project_id:%(project_id)s or \
    project_id:%(member_id)s or 'community':%(visibility)s or 'public':%(visibility)s or 'shared':%(visibility)s))";

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal: $check:expr,)+) => {
        /// A rule by its name in policy files.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Rule {
            /// Every rule.
            pub const ALL: [Rule; [$($name),+].len()] = [$(Rule::$variant),+];

            /// The name in policy files and messages.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Rule::$variant => $name,)+
                }
            }

            /// The rule that holds where a site has none of its own.
            pub fn default_check(self) -> &'static str {
                match self {
                    $(Rule::$variant => $check,)+
                }
            }
        }
    };
}

rules! {
    /// Create a record.
    AddImage = "add_image": "rule:context_is_admin or (role:member and project_id:%(project_id)s and project_id:%(owner)s)",
    /// List.
    GetImages = "get_images": "rule:context_is_admin or role:reader",
    /// Read a record; asked of each row of a list too.
    GetImage = "get_image": SEEING_READER,
    /// PATCH, and tags.
    ModifyImage = "modify_image": OWNER_MEMBER,
    /// Delete record and data.
    DeleteImage = "delete_image": OWNER_MEMBER,
    /// Upload data.
    UploadImage = "upload_image": OWNER_MEMBER,
    /// Download data. A reader may look at the record only.
    DownloadImage = "download_image": SEEING_MEMBER,
    /// Say which stores a download should come from.
    DownloadFromStore = "download_from_store": SEEING_MEMBER,
    /// Copy the data to more stores by an import.
    CopyImage = "copy_image": ADMIN,
    /// Keep the data from all but administrators.
    Deactivate = "deactivate": OWNER_MEMBER,
    /// Open it again.
    Reactivate = "reactivate": OWNER_MEMBER,
    /// Make an image public.
    PublicizeImage = "publicize_image": ADMIN,
    /// Make it a community image.
    CommunitizeImage = "communitize_image": OWNER_MEMBER,
    /// See where the data is.
    GetImageLocation = "get_image_location": OWNER_READER,
    /// Change that by PATCH.
    SetImageLocation = "set_image_location": OWNER_MEMBER,
    /// Remove a copy of the data.
    DeleteImageLocation = "delete_image_location": ADMIN,
    /// Read the locations by their own route.
    FetchImageLocation = "fetch_image_location": "rule:service_api",
    /// Share an image.
    AddMember = "add_member": OWNER_MEMBER,
    /// Stop sharing it.
    DeleteMember = "delete_member": OWNER_MEMBER,
    /// Read a row of the member list.
    GetMember = "get_member": SHARING_READER,
    /// Read the member list.
    GetMembers = "get_members": SHARED_READER,
    /// Accept or reject a share.
    ModifyMember = "modify_member": "rule:context_is_admin or (role:member and project_id:%(member_id)s)",
    /// Read how the stores are set up.
    StoresInfoDetail = "stores_info_detail": "rule:service_api",
    /// Use the tasks API.
    TasksApiAccess = "tasks_api_access": ADMIN,
    /// Read a task.
    GetTask = "get_task": "rule:default",
    /// List tasks.
    GetTasks = "get_tasks": "rule:default",
    /// Read a metadata definition: namespace.
    GetMetadefNamespace = "get_metadef_namespace": "rule:metadef_default",
    /// List namespaces.
    GetMetadefNamespaces = "get_metadef_namespaces": "rule:metadef_default",
    /// Add a metadata definition: namespace.
    AddMetadefNamespace = "add_metadef_namespace": "rule:metadef_admin",
    /// Change a metadata definition: namespace.
    ModifyMetadefNamespace = "modify_metadef_namespace": "rule:metadef_admin",
    /// Delete a metadata definition: namespace.
    DeleteMetadefNamespace = "delete_metadef_namespace": "rule:metadef_admin",
    /// Read a metadata definition: object.
    GetMetadefObject = "get_metadef_object": "rule:metadef_default",
    /// List objects.
    GetMetadefObjects = "get_metadef_objects": "rule:metadef_default",
    /// Add a metadata definition: object.
    AddMetadefObject = "add_metadef_object": "rule:metadef_admin",
    /// Change a metadata definition: object.
    ModifyMetadefObject = "modify_metadef_object": "rule:metadef_admin",
    /// Delete a metadata definition: object.
    DeleteMetadefObject = "delete_metadef_object": "rule:metadef_admin",
    /// Read a metadata definition: property.
    GetMetadefProperty = "get_metadef_property": "rule:metadef_default",
    /// List properties.
    GetMetadefProperties = "get_metadef_properties": "rule:metadef_default",
    /// Add a metadata definition: property.
    AddMetadefProperty = "add_metadef_property": "rule:metadef_admin",
    /// Change a metadata definition: property.
    ModifyMetadefProperty = "modify_metadef_property": "rule:metadef_admin",
    /// Delete a metadata definition: property.
    RemoveMetadefProperty = "remove_metadef_property": "rule:metadef_admin",
    /// Read a metadata definition: tag.
    GetMetadefTag = "get_metadef_tag": "rule:metadef_default",
    /// List tags.
    GetMetadefTags = "get_metadef_tags": "rule:metadef_default",
    /// Add a metadata definition: tag.
    AddMetadefTag = "add_metadef_tag": "rule:metadef_admin",
    /// Change a metadata definition: tag.
    ModifyMetadefTag = "modify_metadef_tag": "rule:metadef_admin",
    /// Delete a metadata definition: tag.
    DeleteMetadefTag = "delete_metadef_tag": "rule:metadef_admin",
    /// Replace the tags of a namespace.
    AddMetadefTags = "add_metadef_tags": "rule:metadef_admin",
    /// Delete the tags of a namespace.
    DeleteMetadefTags = "delete_metadef_tags": "rule:metadef_admin",
    /// List resource types.
    ListMetadefResourceTypes = "list_metadef_resource_types": "rule:metadef_default",
    /// Read the resource types of a namespace.
    GetMetadefResourceType = "get_metadef_resource_type": "rule:metadef_default",
    /// Associate a resource type.
    AddMetadefResourceTypeAssociation = "add_metadef_resource_type_association": "rule:metadef_admin",
    /// End an association.
    RemoveMetadefResourceTypeAssociation = "remove_metadef_resource_type_association": "rule:metadef_admin",
}
