//! `PUT` and `DELETE /v2/images/{id}/tags/{tag}` (contract 1.6). Tags are UTF-8; Glance reads them as latin-1.

use axum::extract::State;
use axum::response::Response;

use super::{ImageSettings, get_visible};
use crate::api::caller::Caller;
use crate::api::error::{Error, about};
use crate::api::extract::{NoBody, TagPath};
use crate::api::no_content;
use crate::catalog::Catalog;
use crate::image::Attributes;
use crate::policy::Rule;

/// Adds a tag; one that is there already is fine.
pub(in crate::api) async fn add(
    State(catalog): State<Catalog>,
    State(settings): State<ImageSettings>,
    caller: Caller,
    _: NoBody,
    path: TagPath,
) -> Result<Response, Error> {
    change(&catalog, &caller, path, move |attributes, tag| {
        attributes
            .add_tag(tag, &settings.rules())
            .map_err(Error::from)
    })
    .await
}

/// Removes a tag.
pub(in crate::api) async fn remove(
    State(catalog): State<Catalog>,
    caller: Caller,
    _: NoBody,
    path: TagPath,
) -> Result<Response, Error> {
    change(&catalog, &caller, path, |attributes, tag| {
        if attributes.tags.remove(tag) {
            Ok(())
        } else {
            Err(Error::NotFound(format!("Tag '{tag}' is not on the image.")))
        }
    })
    .await
}

async fn change(
    catalog: &Catalog,
    caller: &Caller,
    TagPath { image, tag }: TagPath,
    change: impl FnOnce(&mut Attributes, &str) -> Result<(), Error> + Send + 'static,
) -> Result<Response, Error> {
    let id = image.id()?;
    let found = get_visible(catalog, caller, &id).await?;
    caller.enforce_image(Rule::ModifyImage, &found)?;
    let who = caller.clone();
    let updated = catalog.update_image(&id, move |image| {
        let judged = who.check_image(&[Rule::ModifyImage], image);
        judged.map_err(|denial| about(&image.id, denial.into()))?;
        let mut attributes = Attributes::of(image);
        change(&mut attributes, &tag)?;
        Ok::<_, Error>(attributes.into())
    });
    updated.await.map_err(|e| about(&id, e))??;
    Ok(no_content())
}
