//! Repeated measurements of one figure, and their summary.

/// What several measurements of one figure came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    pub min: f64,
    pub median: f64,
    pub max: f64,
    /// How many measurements there were.
    pub count: usize,
}

impl Summary {
    /// Summarises `values`, or returns `None` if there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            (values[middle - 1] + values[middle]) / 2.0
        };
        Some(Self {
            min,
            median,
            max,
            count: values.len(),
        })
    }

    /// Summarises `f` of each round's pair: rounds are interleaved, so that the two of a pair saw the same machine,
    /// and comparing within the pair takes out what drifts between rounds.
    pub fn of_pairs(left: &[f64], right: &[f64], f: impl Fn(f64, f64) -> f64) -> Option<Self> {
        Self::of(left.iter().zip(right).map(|(&l, &r)| f(l, r)))
    }
}
