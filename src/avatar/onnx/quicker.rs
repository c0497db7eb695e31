//! A network said otherwise where ONNX Runtime's CPU provider is slow to do what it says.

use super::error::OnnxError;
use super::patch::replace_graph;
use super::view::{GraphInfo, find_graph};
use super::{blocked, shuffle};

/// The serialised network `model` with pixel shuffles as convolutions and with residuals that stay in the convolutions' own order;
/// `None` where it has neither, or weights in other files, which are found by a network's path alone.
///
/// # Errors
/// [`OnnxError`] when it is no network.
pub fn quicker(model: &[u8]) -> Result<Option<Vec<u8>>, OnnxError> {
    let graph = find_graph(model)?;
    if !GraphInfo::parse(model)?.external.is_empty() {
        return Ok(None);
    }
    let unshuffled = shuffle::without_shuffles(graph)?;
    let blocked = blocked::with_blocked_sums(unshuffled.as_deref().unwrap_or(graph))?;
    let Some(graph) = blocked.or(unshuffled) else { return Ok(None) };
    Ok(Some(replace_graph(model, &graph)?))
}

#[cfg(test)]
mod tests {
    use super::super::build::{Parts, external_tensor, node};
    use super::super::{GraphInfo, Network};
    use super::*;
    use crate::avatar::onnx::build::float_tensor;

    fn network() -> Parts {
        let mut parts = Parts::io(&[("picture", &[-1, 16, 8, 8])], &[("out", &[-1, 16, 8, 8])]);
        parts.initializers = vec![float_tensor("w", &[16, 16, 1, 1], 1.0)];
        parts.nodes = vec![node("Conv", &["picture", "w"], &["a"], &[]), node("Add", &["picture", "a"], &["out"], &[])];
        parts
    }

    #[test]
    fn the_rest_of_a_network_stays_as_it_is() {
        let before = network().model();
        let after = quicker(&before).unwrap().unwrap();
        assert_eq!(GraphInfo::parse(&before).unwrap(), GraphInfo::parse(&after).unwrap());
        assert_eq!(Network::parse(&after).unwrap().nodes.len(), 3);
        assert!(quicker(&after).unwrap().is_none(), "there is nothing left to do");
    }

    #[test]
    fn weights_in_other_files_and_rubbish_are_left_alone() {
        let mut parts = network();
        parts.initializers.push(external_tensor("more", "weights.bin", 0, 64));
        assert!(quicker(&parts.model()).unwrap().is_none());
        assert!(quicker(b"no network").is_err());
    }
}
