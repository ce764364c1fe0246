//! The records of a page: from memory where they are there, from the database where not.
//!
//! The statement of a page says which images and when each was last changed. A record in memory is taken only if it was
//! last changed just then: it is the one that the statement saw, so the page fulfils its conditions and its order although
//! its records did not come with it. Every change of a record moves that time. A record that is read afterwards is held to
//! the same; if one differs, or is gone, the page is asked for again in a transaction.
//!
//! A page ends before its records pass [`PAGE_BYTES`], and no more than that is read for it.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Page, Scope, find};
use crate::catalog::db::Connection;
use crate::catalog::{Catalog, Result, rows};
use crate::image::{Image, ImageId, Visibility};

/// Most bytes of properties, tags and members of a page's images together, unless it is of one image alone. A thousand
/// images with 2 KiB each fit.
const PAGE_BYTES: u64 = 2 * 1024 * 1024;

/// A page of images.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    /// The records.
    pub images: Vec<Arc<Image>>,
    /// The page ends before its limit, since its records are large; more may follow.
    pub is_cut: bool,
}

impl Catalog {
    /// The page, or `None` when a record changed since the page was found.
    pub(super) async fn records_of(
        &self,
        db: &mut Connection,
        page: &Page,
        few: i64,
    ) -> Result<Option<Listed>> {
        let begun = self.cache.begin_read();
        let found = find(db, page, few).await?;
        let mut images: Vec<Option<Arc<Image>>> = found
            .iter()
            .map(|found| {
                let cached = self.cache.get(&found.id);
                cached.filter(|image| image.updated_at == found.updated_at)
            })
            .collect();
        let absent = |images: &[Option<Arc<Image>>]| -> Vec<&ImageId> {
            let pairs = found.iter().zip(images);
            pairs
                .filter(|(_, image)| image.is_none())
                .map(|(found, _)| &found.id)
                .collect()
        };
        let mut sizes = HashMap::new();
        let unread = absent(&images);
        if !unread.is_empty() {
            sizes = rows::text_bytes(db, &unread).await?;
        }
        let (mut bytes, mut unread_bytes, mut count) = (0, 0, 0);
        for (found, image) in found.iter().zip(&images) {
            let size = match (image, sizes.get(found.id.as_str())) {
                (Some(image), _) => image.text_bytes(),
                (None, Some(size)) => {
                    unread_bytes += size;
                    *size
                }
                (None, None) => return Ok(None),
            };
            if count > 0 && bytes + size > PAGE_BYTES {
                break;
            }
            bytes += size;
            count += 1;
        }
        let is_cut = count < found.len();
        images.truncate(count);
        let unread = absent(&images);
        if !unread.is_empty() {
            let _large = self.large_read(unread_bytes).await?;
            let loaded = rows::load_all(db, &unread).await?;
            let mut loaded: HashMap<ImageId, Image> = loaded
                .into_iter()
                .map(|image| (image.id.clone(), image))
                .collect();
            for (found, image) in found.iter().zip(&mut images) {
                if image.is_some() {
                    continue;
                }
                let read = loaded.remove(&found.id);
                let Some(read) = read.filter(|read| read.updated_at == found.updated_at) else {
                    return Ok(None);
                };
                let read = Arc::new(read);
                self.cache.fill(begun, &read);
                *image = Some(read);
            }
        }
        let mut images: Vec<Arc<Image>> = images.into_iter().flatten().collect();
        for image in &mut images {
            assure_membership(&page.scope, image);
        }
        Ok(Some(Listed { images, is_cut }))
    }
}

/// The list of members is no part of what moves the time of a record. The page was found by the caller's membership, so the
/// record says it as well.
fn assure_membership(scope: &Scope, image: &mut Arc<Image>) {
    let Some(project) = scope.project.as_ref().filter(|_| !scope.is_admin) else {
        return;
    };
    let is_foreign = image.owner.as_ref().is_some_and(|owner| owner != project);
    if is_foreign && image.visibility == Visibility::Shared && !image.members.contains(project) {
        Arc::make_mut(image).members.insert(project.clone());
    }
}
