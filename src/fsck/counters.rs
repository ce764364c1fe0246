//! What each project holds by its counters, against what it holds.

use super::Check;
use super::finding::Finding;
use super::repair::Remedy;
use crate::transfer::Result;

impl Check<'_> {
    pub(super) async fn counters(&mut self) -> Result<()> {
        // First what has no owner.
        let mut next = Some(String::new());
        while let Some(project) = next {
            self.counters_of(&project).await?;
            next = self.site.catalog.next_project(&project).await?;
        }
        Ok(())
    }

    async fn counters_of(&mut self, project: &str) -> Result<()> {
        let mut found = None;
        for _ in 0..2 {
            let recount = self.site.catalog.recount(project).await?;
            if recount.recorded == recount.counted {
                return Ok(());
            }
            found = Some(recount);
        }
        let Some(recount) = found else { return Ok(()) };
        let finding = Finding::WrongUsage {
            project: project.to_owned(),
            recorded: recount.recorded,
            counted: recount.counted,
        };
        self.found(finding, Remedy::Recount(project.to_owned()))
            .await;
        Ok(())
    }
}
