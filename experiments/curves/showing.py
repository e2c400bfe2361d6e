def show(runs, stores, docs):
    return ""
