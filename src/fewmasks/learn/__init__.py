"""Items and labels in, a trained model out; a model in, predictions and evidence out."""
