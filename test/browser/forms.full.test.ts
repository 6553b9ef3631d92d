import { describeForms } from './support/forms.js';

describeForms(() => true);
