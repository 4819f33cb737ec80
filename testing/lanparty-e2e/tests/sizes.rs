//! Frames of every size pass whatever the network cards and paths are.

use lanparty_e2e::matrix::pairs;

/// One test for each of the combinations in which every pair of values occurs; `matrix` is the program for all.
macro_rules! combinations {
    ($($name:ident = $index:literal;)*) => {$(
        #[test]
        fn $name() {
            pairs()[$index].run().unwrap();
        }
    )*};
}

combinations! {
    full_frames_over_1280_bytes_to_the_remote_pc = 0;
    native_frames_over_1280_bytes = 1;
    full_frames_over_1400_bytes_to_the_gateway = 2;
    native_frames_over_1400_bytes = 3;
    full_frames_over_1500_bytes = 4;
    native_frames_over_1500_bytes = 5;
}
