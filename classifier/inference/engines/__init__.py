"""What runs an artifact's network: PyTorch, ONNX Runtime or OpenVINO, behind one interface."""
