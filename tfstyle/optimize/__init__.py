"""One picture, optimized: coarse to fine, with Adam or L-BFGS."""
