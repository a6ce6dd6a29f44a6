//! Random numbers as a pure function of (key, index): any moment can be computed without the moments before it.

/// A stream of independent draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Noise(u64);

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Noise {
    /// The stream `name` of `seed`.
    pub(super) fn new(seed: u64, name: &str) -> Self {
        let fold = |hash: u64, byte: u8| mixed(hash ^ u64::from(byte));
        Self(name.bytes().fold(mixed(seed ^ GOLDEN), fold))
    }

    pub(super) const fn bits(self, index: i64) -> u64 {
        mixed(self.0.wrapping_add((index as u64).wrapping_mul(GOLDEN)))
    }

    /// Mean 0, variance 1, between -3.46 and 3.46: the sum of four uniforms. No transcendental function, so every processor agrees.
    pub(super) fn normal(self, index: i64) -> f64 {
        normal_of(self.bits(index))
    }

    /// Mean 0, variance 1, kurtosis about 13: one draw in a hundred is five times as wide.
    pub(super) fn fat_tailed(self, index: i64) -> f64 {
        let bits = self.bits(index);
        let wide = if mixed(bits).is_multiple_of(100) { 5.0 } else { 1.0 };
        normal_of(bits) * wide * FAT_SCALE
    }
}

/// 1 / sqrt(0.99 + 0.01 x 25).
const FAT_SCALE: f64 = 0.898_026_510_133_874_6;

/// Sixteen bits as a number in [0, 1).
pub(super) fn share(bits: u64) -> f64 {
    (bits & 0xffff) as f64 / 65_536.0
}

fn normal_of(bits: u64) -> f64 {
    let sum = (bits & 0xffff) + ((bits >> 16) & 0xffff) + ((bits >> 32) & 0xffff) + (bits >> 48);
    // The deviation of the sum: 65,536 x sqrt(4 / 12).
    (sum as f64 - 131_070.0) / 37_837.227_4
}

/// The finaliser of splitmix64 (Steele, Lea, Flood 2014).
pub(super) const fn mixed(value: u64) -> u64 {
    let mut z = value.wrapping_add(GOLDEN);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_the_promised_moments() {
        let noise = Noise::new(1, "test");
        for draw in [Noise::normal, Noise::fat_tailed] {
            let values: Vec<f64> = (0..200_000).map(|i| draw(noise, i)).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let variance = values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64;
            assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
        }
    }

    #[test]
    fn streams_differ_by_seed_and_name() {
        let first = |seed, name| Noise::new(seed, name).bits(0);
        assert_ne!(first(1, "a"), first(2, "a"));
        assert_ne!(first(1, "a"), first(1, "b"));
        assert_eq!(first(1, "a"), first(1, "a"));
    }
}
