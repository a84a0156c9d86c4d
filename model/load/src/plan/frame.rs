//! From degrees on earth to metres in the building.
//!
//! WGS-84 ellipsoid (NIMA TR8350.2: a = 6378137 m, 1/f = 298.257223563); geodetic to earth-centred coordinates, then
//! east and north in the tangent plane at the origin, then the site's rotation. Over a building of 1 km the plane is
//! off the curved ground by less than 0.1 mm in length.
//! Through `libm`, so that a recorded site resolves to the same bits on another machine.

use osmose_model::geometry::{DEG_PER_RAD, Point, RAD_PER_DEG};

const A_M: f64 = 6_378_137.0;
const F: f64 = 1.0 / 298.257_223_563;
const E2: f64 = F * (2.0 - F);

/// Earth-centred, earth-fixed coordinates of a point on the ellipsoid, metres.
fn ecef(lat_rad: f64, lon_rad: f64) -> [f64; 3] {
    let (sin_lat, cos_lat) = (libm::sin(lat_rad), libm::cos(lat_rad));
    let n = A_M / (1.0 - E2 * sin_lat * sin_lat).sqrt();
    [n * cos_lat * libm::cos(lon_rad), n * cos_lat * libm::sin(lon_rad), n * (1.0 - E2) * sin_lat]
}

/// Corrections on the way back from metres to degrees. The slopes stay those at the origin, so that each leaves about a
/// thousandth of the error before it (3 km off at 75 degrees north): six are below a micrometre.
const STEPS_BACK: usize = 6;

/// Puts degrees into site metres about an origin, and back.
///
/// ```
/// let p = osmose_load::Projection::new((52.2053, 0.1218), 0.0);
/// let north = p.to_site([0.1218, 52.2063]);
/// assert!((north.y_m - 111.27).abs() < 0.01 && north.x_m.abs() < 1e-6);
/// let [lon_deg, lat_deg] = p.to_earth(north);
/// assert!((lat_deg - 52.2063).abs() < 1e-9 && (lon_deg - 0.1218).abs() < 1e-9);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Projection {
    at: [f64; 3],
    sin_lat: f64,
    cos_lat: f64,
    sin_lon: f64,
    cos_lon: f64,
    sin_turn: f64,
    cos_turn: f64,
}

impl Projection {
    /// About an origin (latitude, longitude, degrees); +x is east turned by `rotation_rad` counter-clockwise.
    #[must_use]
    pub fn new((lat_deg, lon_deg): (f64, f64), rotation_rad: f64) -> Self {
        let (lat, lon) = (lat_deg * RAD_PER_DEG, lon_deg * RAD_PER_DEG);
        Self {
            at: ecef(lat, lon),
            sin_lat: libm::sin(lat),
            cos_lat: libm::cos(lat),
            sin_lon: libm::sin(lon),
            cos_lon: libm::cos(lon),
            sin_turn: libm::sin(rotation_rad),
            cos_turn: libm::cos(rotation_rad),
        }
    }

    /// A corner (longitude, latitude) in site metres.
    #[must_use]
    pub fn to_site(self, [lon_deg, lat_deg]: [f64; 2]) -> Point {
        let p = ecef(lat_deg * RAD_PER_DEG, lon_deg * RAD_PER_DEG);
        let d = [p[0] - self.at[0], p[1] - self.at[1], p[2] - self.at[2]];
        let east = self.cos_lon * d[1] - self.sin_lon * d[0];
        let out = self.cos_lon * d[0] + self.sin_lon * d[1];
        let north = self.cos_lat * d[2] - self.sin_lat * out;
        Point::new(self.cos_turn * east + self.sin_turn * north, self.cos_turn * north - self.sin_turn * east)
    }

    /// The corner (longitude, latitude, degrees) of a place in site metres: what [`to_site`](Self::to_site) maps there.
    ///
    /// By fixed-point iteration with the ellipsoid's radii at the origin (meridian M = a(1-e2)/w^3, prime vertical N = a/w,
    /// w2 = 1 - e2 sin2(lat); Torge, Geodesy, 4.1) as slopes. Meant for the reach of a site, not of a country.
    #[must_use]
    pub fn to_earth(self, p: Point) -> [f64; 2] {
        let w2 = 1.0 - E2 * self.sin_lat * self.sin_lat;
        let w = w2.sqrt();
        let (m_per_lat, m_per_lon) = (A_M * (1.0 - E2) / (w2 * w), A_M / w * self.cos_lat);
        let east_north =
            |p: Point| (self.cos_turn * p.x_m - self.sin_turn * p.y_m, self.sin_turn * p.x_m + self.cos_turn * p.y_m);
        let (want_e, want_n) = east_north(p);
        let (mut lon_deg, mut lat_deg) = self.origin();
        for _ in 0..STEPS_BACK {
            let (e, n) = east_north(self.to_site([lon_deg, lat_deg]));
            lat_deg += (want_n - n) / m_per_lat * DEG_PER_RAD;
            lon_deg += (want_e - e) / m_per_lon * DEG_PER_RAD;
        }
        [lon_deg, lat_deg]
    }

    fn origin(&self) -> (f64, f64) {
        (libm::atan2(self.sin_lon, self.cos_lon) * DEG_PER_RAD, libm::atan2(self.sin_lat, self.cos_lat) * DEG_PER_RAD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_degree_has_its_known_length() {
        // Lengths of a small arc at 45 degrees: meridian radius M = a(1-e2)/(1-e2 sin2)^1.5, and N cos(lat) along
        // the parallel (Torge, Geodesy, 4.1).
        let at = (45.0, 10.0);
        let p = Projection::new(at, 0.0);
        let w2 = 1.0 - E2 * 0.5;
        let north = A_M * (1.0 - E2) / (w2 * w2.sqrt()) * 1e-4 * RAD_PER_DEG;
        let east = A_M / w2.sqrt() * 0.5f64.sqrt() * 1e-4 * RAD_PER_DEG;
        let q = p.to_site([10.0, 45.0001]);
        assert!(q.x_m.abs() < 1e-9 && (q.y_m - north).abs() < 1e-4, "{q:?} {north}");
        let q = p.to_site([10.0001, 45.0]);
        assert!((q.x_m - east).abs() < 1e-4 && q.y_m.abs() < 1e-3, "{q:?} {east}");
    }

    #[test]
    fn the_site_axis_is_turned_from_east() {
        let q = Projection::new((45.0, 10.0), std::f64::consts::FRAC_PI_2).to_site([10.0, 45.0001]);
        assert!(q.x_m > 11.0 && q.y_m.abs() < 1e-6, "north lies on +x after a quarter turn: {q:?}");
    }

    proptest! {
        #[test]
        fn the_way_back_is_the_way_there(
            lat in -75.0..75.0f64, lon in -179.0..179.0f64, turn in -6.0..6.0f64, x in -3000.0..3000.0f64, y in -3000.0..3000.0f64,
        ) {
            let (at, p) = (Projection::new((lat, lon), turn), Point::new(x, y));
            prop_assert!(at.to_site(at.to_earth(p)).distance(p) < 1e-6);
        }

        #[test]
        fn turning_keeps_lengths_and_the_origin_is_zero(
            lat in -80.0..80.0f64, lon in -179.0..179.0f64, turn in -6.0..6.0f64, dx in -0.001..0.001f64, dy in -0.001..0.001f64,
        ) {
            let at = (lat, lon);
            let zero = Projection::new(at, turn).to_site([lon, lat]);
            prop_assert_eq!((zero.x_m, zero.y_m), (0.0, 0.0));
            let (a, b) = (Projection::new(at, 0.0).to_site([lon + dx, lat + dy]), Projection::new(at, turn).to_site([lon + dx, lat + dy]));
            prop_assert!((a.distance(Point::default()) - b.distance(Point::default())).abs() < 1e-7);
        }
    }
}
