//! Takes judged changes into a copy of the document and proves that the copy can be read, saved and loaded again.

use super::fault::GuardFault;
use super::trial::Judged;
use crate::document::body::{Document, calmly, load_snapshot};
use crate::document::history;
use crate::document::read::Reader;
use crate::document::view;
use crate::id::Hash;

/// Applies changes, each of which comes after those it depends on. Gives the document with all that held, and what did not.
pub(super) fn apply(document: &Document, judged: Vec<Judged>) -> (Document, Vec<(Hash, GuardFault)>) {
    let mut failed = Vec::new();
    let document = bisect(document.clone(), judged, &mut failed);
    (document, failed)
}

/// Tries all at once; when that fails, one half after the other, so that one bad change takes only its descendants along.
fn bisect(document: Document, mut judged: Vec<Judged>, failed: &mut Vec<(Hash, GuardFault)>) -> Document {
    judged.retain(|change| {
        let of = change
            .line
            .deps
            .iter()
            .find(|dep| failed.iter().any(|(hash, _)| hash == *dep));
        if let Some(&of) = of {
            failed.push((change.line.hash, GuardFault::Descendant { of }));
        }
        of.is_none()
    });
    if judged.is_empty() {
        return document;
    }
    match prove(&document, &judged) {
        Ok(proven) => proven,
        Err(fault) if judged.len() == 1 => {
            failed.push((judged[0].line.hash, fault));
            document
        }
        Err(_) => {
            let rest = judged.split_off(judged.len() / 2);
            let document = bisect(document, judged, failed);
            bisect(document, rest, failed)
        }
    }
}

/// The document with the changes in it, when it holds.
fn prove(document: &Document, judged: &[Judged]) -> Result<Document, GuardFault> {
    calmly(|| {
        let mut grown = document.clone();
        grown.take_in(judged.iter().map(|judged| judged.change.clone()).collect())?;
        let heads = grown.heads();
        let read = view::read(&Reader::now(&grown), heads.clone())?;
        // Loading checks the heads by writing every change anew and hashing it: equal heads are equal bytes, the whole way down.
        let loaded = load_snapshot(&grown.save()).map_err(|_| GuardFault::DoesNotReload)?;
        let loaded_heads: Vec<Hash> = loaded.get_heads().iter().map(|hash| Hash::from_bytes(hash.0)).collect();
        if loaded_heads != heads || view::read(&Reader::over(&loaded, grown.log()), heads)? != read {
            return Err(GuardFault::DoesNotReload);
        }
        history::read(&loaded.get_changes(&[]))?;
        Ok(grown)
    })
}
