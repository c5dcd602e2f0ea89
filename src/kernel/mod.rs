//! Obtains kernels: packages, images and build trees become an image, its modules and its configuration.
