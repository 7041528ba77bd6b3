"""What computes vectors: ONNX Runtime on the CPU, torch on CUDA."""
